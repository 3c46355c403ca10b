// Shows what the server sends to an element with data-events: a "message" is its content; "parts" are elements that
// replace those of the same id. What has the focus, is open or is scrolled stays so. "end" loads the page again.
function replacePart(part) {
  const shown = document.getElementById(part.id);
  if (!shown || shown.outerHTML === part.outerHTML) { return; }
  const focused = shown.contains(document.activeElement) ? document.activeElement.id : "";
  const values = new Map([...shown.querySelectorAll("input[id]")].map((each) => [each.id, each.value]));
  const open = [...shown.querySelectorAll("details[open][id]")].map((each) => each.id);
  const scrolled = new Map([...shown.querySelectorAll("[data-scroll]")].map((each) => [each.id, each.scrollTop]));
  shown.replaceWith(part);
  for (const id of open) { document.getElementById(id)?.setAttribute("open", ""); }
  for (const [id, top] of scrolled) { document.getElementById(id)?.scrollTo(0, top); }
  for (const [id, value] of values) {
    const field = document.getElementById(id);
    if (field && id === focused) { field.value = value; }
  }
  if (focused) { document.getElementById(focused)?.focus({ preventScroll: true }); }
  window.htmx?.process(part);
}
for (const place of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(place.dataset.events);
  source.addEventListener("message", (event) => { place.innerHTML = event.data; });
  source.addEventListener("parts", (event) => {
    const sent = new DOMParser().parseFromString(event.data, "text/html");
    for (const part of [...sent.body.children]) { replacePart(document.adoptNode(part)); }
  });
  source.addEventListener("end", () => { source.close(); window.location.reload(); });
}
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.matches(".phone form")) { event.target.reset(); }
});
