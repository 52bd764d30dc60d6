// SPDX-License-Identifier: MIT
//
// Runs pypomelo_chat.py: the pypomelo package as published, over TCP.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('pypomelo_chat.py', import.meta.url));

export const tests = {
  'gate, enter, send, push': async ({ gate, python }) => {
    const child = spawn(python, [script, gate.host, String(gate.port)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { output += text; });
    const status = await new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', resolve);
    });
    assert.equal(status, 0, output);
  },
};
