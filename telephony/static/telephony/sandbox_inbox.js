const empty = document.getElementById("empty");
empty.addEventListener("click", async () => {
  await fetch(empty.dataset.messages, {method: "DELETE"});
  location.reload();
});
