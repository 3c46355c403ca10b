// Shows what the server sends: an element with data-events gets each message as its content, until the end.
for (const place of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(place.dataset.events);
  source.addEventListener("message", (event) => { place.innerHTML = event.data; });
  source.addEventListener("end", () => { source.close(); window.location.reload(); });
}
