// Shows beside each field with data-bytes how many of the allowed bytes it has.
const encoder = new TextEncoder();
for (const field of document.querySelectorAll("[data-bytes]")) {
  const shown = document.createElement("small");
  shown.className = "bytes";
  const count = () => {
    const size = encoder.encode(field.value).length;
    shown.textContent = `${size}/${field.dataset.bytes}`;
    shown.classList.toggle("wrong", size > Number(field.dataset.bytes));
  };
  field.closest(".field").append(shown);
  field.addEventListener("input", count);
  count();
}
