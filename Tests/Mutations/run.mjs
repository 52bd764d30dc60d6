// SPDX-License-Identifier: MIT
//
// Mutations: each row of the tables beside this file changes what the code means, one row at a time, in a copy of the
// project, and names the tests that must fail then. A row whose tests still pass has survived: a test is missing.
//
//   node Tests/Mutations/run.mjs [--check] [--copy .build/mutations] [words that a row must have …]
//
//   table   file <tab> text <tab> replacement <tab> test[,test …]      # and empty lines are skipped
//           line ends and tabs of a text are written \n and \t, a backslash \\; a test is [Target.]Suite.function
//
// `--check` only looks whether the texts and the tests are there. The copy is kept, so only its first build is long.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
/** A test that hangs under a mutation has noticed it too. */
const patienceMs = 180_000;
const copied = ['Package.swift', 'Package.resolved', 'Sources', 'Tests', 'config', 'ARCHITECTURE.md', 'README.md'];

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    copy: { type: 'string', default: join(root, '.build', 'mutations') },
  },
});
const copy = resolve(options.copy);

// ---- the tables

function readRows() {
  return readdirSync(here).filter((name) => name.endsWith('.tsv')).sort().flatMap((name) => {
    return readFileSync(join(here, name), 'utf8').split('\n').flatMap((line, index) => {
      if (line === '' || line.startsWith('#')) return [];
      const place = `${name}:${index + 1}`;
      const [file, text, replacement, tests, ...rest] = line.split('\t').map(unescaped);
      if (!tests || rest.length > 0) throw new Error(`${place}: a row is file, text, replacement, tests`);
      return [{ place, file, text, replacement, tests: tests.split(',').map((test) => test.trim()), line }];
    });
  });
}

function unescaped(field) {
  return field.replace(/\\(.)/g, (_, letter) => ({ n: '\n', t: '\t' })[letter] ?? letter);
}

/** Every Swift file below a folder. */
function swiftFiles(folder) {
  return readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.swift'))
    .map((name) => join(folder, name));
}

/** Where each test is: the target and the name for a filter, by `Suite.function`. */
function findTests(rows) {
  const found = new Map();
  const texts = swiftFiles(join(root, 'Tests')).map((path) => ({ path, text: readFileSync(path, 'utf8') }));
  for (const test of new Set(rows.flatMap((row) => row.tests))) {
    const [name, suite, ...rest] = test.split(/[./]/).reverse();
    const target = rest.at(-1);
    // A suite or its file.
    const holds = new RegExp(`(struct|class|extension) ${suite}\\b`);
    const file = texts.find(({ path, text }) => {
      return (basename(path) === `${suite}.swift` || holds.test(text)) && text.includes(`func ${name}(`)
        && (target ?? targetOf(path)) === targetOf(path);
    });
    if (file !== undefined) found.set(test, { filter: `^${targetOf(file.path)}\\..*/${name}\\(` });
  }
  return found;
}

function targetOf(path) {
  return relative(join(root, 'Tests'), path).split('/')[0];
}

/** What is wrong with a row, if anything. */
function complaint(row, tests) {
  let source;
  try {
    source = readFileSync(join(root, row.file), 'utf8');
  } catch {
    return `there is no ${row.file}`;
  }
  const count = source.split(row.text).length - 1;
  if (count !== 1) return `the text is ${count} times in ${row.file}`;
  const missing = row.tests.filter((test) => !tests.has(test));
  return missing.length > 0 ? `there is no test ${missing.join(', ')}` : null;
}

// ---- the copy

/** Makes the copy equal to the project, and touches nothing that is equal. */
function synchronise() {
  mkdirSync(copy, { recursive: true });
  const kept = new Set(copied.flatMap((name) => files(name)));
  for (const name of kept) {
    const bytes = readFileSync(join(root, name));
    if (!isEqual(bytes, join(copy, name))) write(name, bytes);
  }
  for (const name of copied.flatMap((folder) => files(folder, copy))) {
    if (!kept.has(name)) rmSync(join(copy, name));
  }
}

function files(name, base = root) {
  const path = join(base, name);
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return [];
  if (!status.isDirectory()) return [name];
  return readdirSync(path).flatMap((part) => files(join(name, part), base));
}

function isEqual(bytes, path) {
  return statSync(path, { throwIfNoEntry: false }) !== undefined && readFileSync(path).equals(bytes);
}

function write(name, bytes) {
  mkdirSync(dirname(join(copy, name)), { recursive: true });
  writeFileSync(join(copy, name), bytes);
}

// ---- building and testing there

/** Null when it builds, else the errors. */
function build() {
  const { status, stdout, stderr } = spawnSync('swift', ['build', '--build-tests', '--traits', 'default,Postgres,Keel,TLS'], {
    cwd: copy, encoding: 'utf8', maxBuffer: 1 << 28,
  });
  if (status === 0) return null;
  const lines = `${stdout}\n${stderr}`.split('\n');
  return lines.filter((line) => line.includes('error:')).slice(0, 3).join('\n') || lines.slice(-5).join('\n');
}

/** Why tests fail, or null; one that hangs, or brings the process down, fails too. */
function failure(found) {
  const words = found.flatMap(({ filter }) => ['--filter', filter]);
  // Not by `swift test`, which alone would be killed, and leave the tests that hang.
  const binary = join(copy, '.build', 'debug', 'pomelo-swiftPackageTests.xctest');
  const { status, stdout, stderr } = spawnSync(binary, ['--testing-library', 'swift-testing', ...words], {
    cwd: copy, encoding: 'utf8', maxBuffer: 1 << 28, timeout: patienceMs, killSignal: 'SIGKILL',
  });
  const output = `${stdout}\n${stderr}`;
  if (/Test run with 0 tests/.test(output)) throw new Error(`no test ran:\n${output}`);
  return status === 0 ? null : output.split('\n').filter((line) => line.startsWith('✘')).join('\n');
}

/** 'caught', or what went wrong. */
function judge(row, tests) {
  const original = readFileSync(join(root, row.file), 'utf8');
  // Not a pattern: `$` in a replacement is a dollar.
  write(row.file, original.split(row.text).join(row.replacement));
  try {
    const errors = build();
    if (errors !== null) return `does not compile:\n${errors}`;
    const passed = row.tests.filter((test) => failure([tests.get(test)]) === null);
    return passed.length === 0 ? 'caught' : `survived ${passed.join(', ')}`;
  } finally {
    write(row.file, original);
  }
}

function main() {
  const rows = readRows().filter((row) => words.every((word) => row.line.includes(word)));
  if (rows.length === 0) throw new Error('no row has these words');
  const tests = findTests(rows);
  const complaints = rows.map((row) => [row, complaint(row, tests)]).filter(([, text]) => text !== null);
  for (const [row, text] of complaints) console.log(`ERROR     ${row.place}: ${text}`);
  const good = rows.filter((row) => !complaints.some(([bad]) => bad === row));
  if (options.check) {
    console.log(`${rows.length} rows, ${complaints.length} errors`);
    return complaints.length === 0 ? 0 : 1;
  }
  synchronise();
  const broken = build();
  if (broken !== null) throw new Error(`the project does not build:\n${broken}`);
  const failed = failure([...tests.values()]);
  if (failed !== null) throw new Error(`without any mutation there are failures:\n${failed}`);
  const count = { caught: 0, survived: 0, errors: complaints.length };
  for (const row of good) {
    const begin = Date.now();
    const verdict = judge(row, tests);
    const kind = verdict === 'caught' ? 'caught' : verdict.startsWith('survived') ? 'survived' : 'errors';
    count[kind] += 1;
    const what = `${basename(row.file)}: ${row.text.trim().split('\n')[0]}`;
    const label = { caught: 'caught   ', survived: 'SURVIVED ', errors: 'ERROR    ' }[kind];
    console.log(`${label} ${row.place} ${what} (${Math.round((Date.now() - begin) / 1000)} s)`);
    if (verdict !== 'caught') console.log(`          ${verdict}`);
  }
  console.log(`${rows.length} rows: ${count.caught} caught, ${count.survived} survived, ${count.errors} errors`);
  return count.survived + count.errors === 0 ? 0 : 1;
}

try {
  process.exitCode = main();
} catch (error) {
  console.log(`mutations: ${error.message}`);
  process.exitCode = 2;
}
