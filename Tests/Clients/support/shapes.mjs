// SPDX-License-Identifier: MIT
//
// The screens on which the page is measured: a window, a phone, and a small phone.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, findChromium } from './browser.mjs';

export const shapes = [
  { width: 1000, height: 680, isPhone: false },
  { width: 375, height: 667, isPhone: true },
  { width: 320, height: 568, isPhone: true },
];

const schemes = ['light', 'dark'];

/** Shows the page in each scheme, saves a picture (.build/dev/page-<width>-<scheme>-<name>.png), and looks closer. */
export async function inEachScheme(page, { root, shape, name }, look = () => {}) {
  const folder = join(root, '.build', 'dev');
  mkdirSync(folder, { recursive: true });
  for (const scheme of schemes) {
    await page.prefer(scheme);
    await page.painted();
    await page.screenshot(join(folder, `page-${shape.width}-${scheme}-${name}.png`));
    await look(scheme);
  }
}

/** Runs a check on each screen, in one browser; an error says on which. */
export async function onEachScreen(check) {
  const chromium = findChromium();
  assert.ok(chromium, 'Chromium is not installed');
  const browser = new Browser(chromium);
  try {
    for (const shape of shapes) {
      try {
        await check(browser, shape);
      } catch (error) {
        error.stack = `at ${shape.width} px: ${error.stack}`;
        throw error;
      }
    }
  } finally {
    await browser.close();
  }
}
