// Show a sentence if a passkey or security key was not used. allauth's scripts only write to the console.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const problem = document.getElementById("key-problem");
  if (problem) problem.hidden = false;
});
