// A run as it is drawn -> one HTML file that needs nothing else and runs nothing.

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
const LEFT_OUT = "button:not(.file), form, footer .more, .actions, figcaption, .sr, textarea, input, select, .now";

export async function exported(section, meta) {
  const copy = section.cloneNode(true);
  for (const element of copy.querySelectorAll(LEFT_OUT)) element.remove();
  for (const element of copy.querySelectorAll("button.file")) element.replaceWith(element.textContent);
  for (const element of copy.querySelectorAll("a")) element.removeAttribute("href");
  for (const element of copy.querySelectorAll("[tabindex]")) element.removeAttribute("tabindex");
  await Promise.all([...copy.querySelectorAll("img")].map(async (image) => image.setAttribute("src", await dataUrl(image.getAttribute("src")))));
  const pages = new Map();
  await Promise.all(
    [...copy.querySelectorAll("iframe")].map(async (frame, at) => {
      pages.set(`frame-${at}`, await (await fetch(frame.getAttribute("src"))).text());
      frame.removeAttribute("src");
      frame.setAttribute("sandbox", "");
      frame.setAttribute("data-page", `frame-${at}`);
    }),
  );
  // The pages go in as text of the file, after everything was escaped by the browser: nothing here makes markup of them.
  const body = copy.outerHTML.replace(/data-page="(frame-\d+)"/g, (_, name) => `srcdoc="${escapedText(pages.get(name))}"`);
  const style = document.querySelector("style").textContent;
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}"><title>${escapedText(meta.task.slice(0, 100))}</title>`;
  return new Blob([`<!doctype html>\n<html lang="en"><head>${head}<style>${style}\n* { content-visibility: visible !important; }</style></head><body><main>${body}</main></body></html>\n`], {
    type: "text/html",
  });
}

async function dataUrl(address) {
  const data = await (await fetch(address)).blob();
  return new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(data);
  });
}

function escapedText(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
