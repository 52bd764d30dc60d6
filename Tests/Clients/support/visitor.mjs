// SPDX-License-Identifier: MIT
//
// What a visitor of the page does.

export async function comeIn(browser, address, name, room, shape = {}) {
  const page = await browser.open(address, shape);
  await knock(page, name, room);
  await page.until(`document.querySelector('#state').dataset.state === 'online'`);
  return page;
}

export async function knock(page, name, room) {
  await page.until(`document.querySelector('#enter')?.disabled === false`);
  await page.type('#name', name);
  await page.type('#room', room);
  await page.click('#enter');
}

export async function say(page, words) {
  await page.type('#text', words);
  await page.click('#send');
}

export function shows(words, kind = '') {
  const bubbles = `[...document.querySelectorAll('.said${kind} .bubble')]`;
  return `${bubbles}.some((node) => node.textContent === ${JSON.stringify(words)})`;
}
