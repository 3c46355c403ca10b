// Sends a chosen picture at once and shows how far it is; its address goes into the field that data-target names.
function upload(field) {
  const form = field.form;
  const box = field.closest(".field");
  const bar = box.querySelector("progress");
  const wrong = box.querySelector("[role=alert]");
  const data = new FormData();
  data.append("image", field.files[0]);
  const sending = new XMLHttpRequest();
  sending.open("POST", field.dataset.upload);
  sending.responseType = "json";
  sending.upload.addEventListener("progress", (event) => { bar.max = event.total; bar.value = event.loaded; });
  sending.addEventListener("loadend", () => {
    bar.hidden = true;
    field.value = "";
    const answer = sending.response;
    wrong.textContent = answer?.url ? "" : answer?.error || field.dataset.failed;
    if (!answer?.url) { return; }
    const target = form.elements.namedItem(field.dataset.target);
    target.value = answer.url;
    const picture = form.elements.namedItem("picture");
    if (picture) { picture.value = answer.picture; }
    target.dispatchEvent(new Event("input", { bubbles: true }));
  });
  bar.hidden = false;
  sending.send(data);
}
for (const field of document.querySelectorAll("input[data-upload]")) {
  field.addEventListener("change", () => { if (field.files.length) { upload(field); } });
}
