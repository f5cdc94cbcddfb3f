for (const form of document.querySelectorAll("form")) {
  const button = form.querySelector("button[type=submit]");
  const note = form.querySelector(".note");
  const result = form.querySelector(".result");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    const began = performance.now();
    try {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(form.action, { method: "POST", headers, body: form.elements.body.value });
      const text = await answer.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
      const variant = answer.headers.get("x-variant");
      result.textContent = shown;
      result.classList.toggle("failed", !answer.ok);
      note.textContent = `${answer.status} in ${(performance.now() - began).toFixed(1)} ms` + (variant ? ` by ${variant}` : "");
    } catch (error) {
      result.textContent = `The server did not answer: ${error.message}`;
      result.classList.add("failed");
      note.textContent = "";
    }
    result.hidden = false;
    button.disabled = false;
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.closest("section").querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
