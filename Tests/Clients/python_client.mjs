// SPDX-License-Identifier: MIT
//
// Packages of Python as published, told what to do by programs of ours: pypomelo over TCP, websockets over WebSocket.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { live } from './support/life.mjs';
import { Program } from './support/program.mjs';

export const tests = {
  'pypomelo, TCP': (world) => lead(world, 'pypomelo', world.python),
  'websockets, WebSocket': (world) => lead(
    world, 'websockets', join(world.root, '.build', 'venvs', 'websockets', 'bin', 'python')),
};

function lead(world, name, python) {
  const script = fileURLToPath(new URL(`${name}_person.py`, import.meta.url));
  return live(world, {
    folder: `Chat-${name}`,
    connect: (host, port) => new Program(python, [script, host, String(port)]),
  });
}
