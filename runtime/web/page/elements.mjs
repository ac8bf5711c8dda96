// Elements of the page, and what is said in them.

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/**
 * @param {HTMLElement} box
 * @param {string} wrong empty for nothing to tell
 * @param {string} right
 */
export function tell(box, wrong, right) {
  const strong = Object.assign(document.createElement('b'), { textContent: sentence(wrong) });
  box.replaceChildren(strong, sentence(right));
  box.hidden = !wrong;
}

/** @param {string} text */
function sentence(text) {
  const begun = /^\S*[/.]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1); // a file's name stays
  return begun && begun + (/[.!?]$/.test(begun) ? '' : '.');
}
