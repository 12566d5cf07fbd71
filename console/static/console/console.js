// What htmx needs to know about this site. Pages work without scripts, too.

// Live parts ask for nothing while nobody looks at them, and catch up when somebody does again.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.hasAttribute("data-live")) event.preventDefault();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "look");
});

// An update must not take away the words that somebody selects, the field in which somebody writes, nor what is heard.
const isUsed = (part) => {
  const selection = document.getSelection();
  const field = document.activeElement;
  return (!selection.isCollapsed && part.contains(selection.anchorNode))
    || (part.contains(field) && field.matches("input:not([type=hidden]), textarea, select"))
    || [...part.querySelectorAll("audio")].some((audio) => !audio.paused);
};
document.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  const isPoll = part.hasAttribute("data-live") && event.detail.requestConfig.elt === part;
  if (isPoll && isUsed(part)) event.detail.shouldSwap = false;
});

// A server that does not answer is said once, and taken back when it answers again.
const lost = () => document.getElementById("connection-lost");
document.addEventListener("htmx:sendError", () => { if (lost()) lost().hidden = false; });
document.addEventListener("htmx:responseError", () => { if (lost()) lost().hidden = false; });
document.addEventListener("htmx:afterOnLoad", () => { if (lost()) lost().hidden = true; });

// A tag button writes its tag where the cursor is.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  if (!button) return;
  const field = document.getElementById(button.dataset.into);
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

// Words that were typed and not saved are not lost by a wrong click.
let changed = false;
document.addEventListener("input", (event) => { if (event.target.closest("form[data-keep]")) changed = true; });
document.addEventListener("submit", () => { changed = false; });
window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });

// On a telephone the navigation is a strip: show the open page in it.
const open = document.querySelector(".nav [aria-current]");
if (open) open.closest("ul").parentElement.scrollLeft = open.offsetLeft - 16;

// Menus close when somebody clicks elsewhere or presses Escape.
const close = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(except)) menu.open = false;
};
document.addEventListener("click", (event) => close(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
