// SPDX-License-Identifier: MIT
//
// What a page looks like, in numbers. Each function runs inside the page (`page.run`), so it stands alone.

/**
 * The contrast of each visible text with what is behind it (WCAG 2.2, 1.4.3), also of placeholders and of what is
 * disabled; and of the lines that show a field and the focus (1.4.11): `[{what, ratio, isLine}]`.
 */
export function contrasts() {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const parse = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return { channels: [red, green, blue], alpha: alpha / 255 };
  };
  const over = (top, alpha, bottom) => top.map((value, index) => value * alpha + bottom[index] * (1 - alpha));
  const light = (channels) => channels
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (node) => {
    if (node === null) return [255, 255, 255];
    const { channels, alpha } = parse(getComputedStyle(node).backgroundColor);
    return alpha === 1 ? channels : over(channels, alpha, behind(node.parentElement));
  };
  const opacity = (node) => (node === null ? 1 : Number(getComputedStyle(node).opacity) * opacity(node.parentElement));
  const found = [];
  const note = (node, style, what) => {
    const { channels, alpha } = parse(style.color);
    const ground = behind(node);
    const visible = alpha * Number(style.opacity === '' ? 1 : style.opacity) * opacity(node.parentElement);
    const isLine = false;
    const name = `${node.id || node.className || node.tagName}: ${what}`;
    found.push({ what: name, ratio: ratio(over(channels, visible, ground), ground), isLine });
  };
  const line = (node, color, what) => {
    const shade = ratio(parse(color).channels, behind(node.parentElement));
    found.push({ what: `${what} of ${node.id || node.className}`, ratio: shade, isLine: true });
  };
  const isShown = (node) => node.checkVisibility({ visibilityProperty: true }) && node.closest('.unseen') === null;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text !== null; text = walker.nextNode()) {
    const node = text.parentElement;
    if (text.data.trim() === '' || node.tagName === 'NOSCRIPT' || !isShown(node)) continue;
    note(node, getComputedStyle(node), text.data);
  }
  for (const field of document.querySelectorAll('input')) {
    if (!isShown(field)) continue;
    note(field, getComputedStyle(field), 'what is typed');
    note(field, getComputedStyle(field, '::placeholder'), field.placeholder);
    line(field, getComputedStyle(field).borderTopColor, 'edge');
  }
  const { activeElement } = document;
  const { outlineStyle, outlineColor } = getComputedStyle(activeElement);
  if (outlineStyle !== 'none') line(activeElement, outlineColor, 'focus');
  return found;
}

/** What can be tapped: `[{what, width, height}]`. */
export function targets() {
  return [...document.querySelectorAll('button, input, a, select, textarea')]
    .filter((node) => node.checkVisibility({ visibilityProperty: true }))
    .map((node) => {
      const { width, height } = node.getBoundingClientRect();
      return { what: node.id || node.textContent, width, height };
    });
}

/**
 * Where each of these is in full: `[{selector, text, size, isWhole, box}]`. Whole: no part of its text is beyond the
 * screen or an ancestor that cuts, and at the middle of each line nothing else lies above it.
 */
export function whole(selectors) {
  return selectors.map((selector) => {
    const node = document.querySelector(selector);
    const range = document.createRange();
    range.selectNodeContents(node);
    const lines = [...range.getClientRects()];
    const isWithin = (line, box) => line.left >= box.left - 1 && line.right <= box.right + 1
      && line.top >= box.top - 1 && line.bottom <= box.bottom + 1;
    let isWhole = lines.length > 0 && lines.every((line) => {
      const top = document.elementFromPoint((line.left + line.right) / 2, (line.top + line.bottom) / 2);
      return isWithin(line, { left: 0, top: 0, right: innerWidth, bottom: innerHeight }) && node.contains(top);
    });
    for (let above = node; above !== null; above = above.parentElement) {
      const { overflowX } = getComputedStyle(above);
      const box = above.getBoundingClientRect();
      if (overflowX !== 'visible' && !lines.every((line) => isWithin(line, box))) isWhole = false;
    }
    const { left, top, right, bottom } = node.getBoundingClientRect();
    const size = parseFloat(getComputedStyle(node).fontSize);
    return { selector, text: node.textContent, size, isWhole, box: { left, top, right, bottom } };
  });
}

/** Which parts of the page reach beyond a screen of this width; the strip of people scrolls. */
export function beyond(width) {
  const parts = [...document.querySelectorAll('body *')].filter((node) => {
    if (!node.checkVisibility() || node.closest('.unseen, #members') !== null) return false;
    const { left, right } = node.getBoundingClientRect();
    return left < -1 || right > width + 1;
  });
  return parts.map((node) => node.id || node.className || node.tagName);
}

/** How far the log is from its end, and whether its last entry and the composer are all on the visible screen. */
export function conversation() {
  const log = document.querySelector('#log');
  const visible = visualViewport.height;
  const last = log.lastElementChild.getBoundingClientRect();
  const composer = document.querySelector('#composer').getBoundingClientRect();
  return {
    fromEnd: log.scrollHeight - log.scrollTop - log.clientHeight,
    top: log.scrollTop,
    height: log.clientHeight,
    isLastShown: last.top >= log.getBoundingClientRect().top - 1 && last.bottom <= composer.top + 1,
    isComposerShown: composer.bottom <= visible + 1,
  };
}

/** What has the focus, and how that shows. */
export function focus() {
  const { activeElement } = document;
  const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
  const box = activeElement.getBoundingClientRect();
  return {
    on: activeElement.id || activeElement.dataset.name || activeElement.tagName,
    isVisible: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
    isOnScreen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}
