for (const form of document.querySelectorAll("form")) {
  const buttons = form.querySelectorAll("button[type=submit]");
  const note = form.querySelector(".note");
  const result = form.querySelector(".result");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const explains = event.submitter?.value === "explain";
    for (const button of buttons) button.disabled = true;
    const began = performance.now();
    try {
      const headers = { "content-type": form.dataset.type };
      const wanted = form.elements.variant?.value;
      if (wanted) headers["x-variant"] = wanted;
      const url = explains ? form.action.replace(/:predict$/, ":explain") : form.action;
      const answer = await fetch(url, { method: "POST", headers, body: form.elements.body.value });
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
    for (const button of buttons) button.disabled = false;
    follow();
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.closest("section").querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
const parts = (page) => [...page.querySelectorAll("article, [data-live]")].map((part) => part.id).join();
async function follow() {
  if (document.hidden) return;
  let html;
  try {
    const answer = await fetch("/", { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    html = await answer.text();
  } catch { return; /* it is looked at again in a while */ }
  // Without its styles, which the policy of this page does not know.
  const main = html.slice(html.indexOf("<main>"), html.indexOf("</main>"));
  const page = new DOMParser().parseFromString(main, "text/html");
  if (parts(page) !== parts(document)) {
    // Other endpoints, or other forms: only a whole page shows them. What somebody is typing is not taken away.
    if (!document.activeElement?.closest("form")) location.reload();
    return;
  }
  for (const part of page.querySelectorAll("[data-live]")) {
    const shown = document.getElementById(part.id);
    if (shown.innerHTML !== part.innerHTML) shown.replaceChildren(...part.childNodes);
  }
}
setInterval(follow, 3000);
