// SPDX-License-Identifier: MIT
//
// The public declarations of every room against the lists beside this file, which are what users may rely on: a
// declaration that is not as its list has it, is gone or is new, is an error, until somebody wants it so.
//
//   node Tests/API/run.mjs [accept] [--modules .build/debug/Modules]     reads a debug build; `accept` writes the lists
//
//   list    path of a symbol <space> its declaration, one a line, sorted; `Type: Protocol` is a conformance

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { modules: { type: 'string', default: join(root, '.build', 'debug', 'Modules') } },
});
// Where it is, not where a link to it is: the checkouts are found from there.
const modules = realpathSync(options.modules);
/** What every type has, said or not. */
const implied = new Set(['Copyable', 'Escapable', 'SendableMetatype', 'BitwiseCopyable']);

/** The rooms: what is no room has no API. */
function rooms() {
  return readdirSync(join(root, 'Sources')).filter((name) => name.startsWith('Pomelo') && name !== 'PomeloLibc').sort();
}

// ---- the compiler's word

const run = promisify(execFile);
const target = JSON.parse(execFileSync('swiftc', ['-print-target-info'], { encoding: 'utf8' })).target.triple;
/** C modules of the packages that ours stand on: some have a map of their own, the others one that was made for them. */
function mapsOfPackages() {
  const files = (folder) => (existsSync(folder) ? readdirSync(folder) : []).map((name) => join(folder, name));
  const own = files(resolve(modules, '..', '..', '..', 'checkouts'))
    .flatMap((checkout) => files(join(checkout, 'Sources')))
    .map((target) => join(target, 'include', 'module.modulemap'));
  const made = files(resolve(modules, '..')).map((target) => join(target, 'module.modulemap'));
  return [...own, ...made].filter(existsSync);
}
const maps = [
  ...mapsOfPackages(),
  ...['CLibuv', 'CHiredis', 'CSQLite', 'CLibpq', 'CZlib', 'COpenSSL'].map((name) => join(root, 'Sources', name, 'module.modulemap')),
].flatMap((path) => ['-Xcc', `-fmodule-map-file=${path}`]);

/** The lines of one module's list. */
async function declarations(module) {
  const folder = mkdtempSync(join(tmpdir(), 'pomelo-api-'));
  try {
    await run('swift', [
      'symbolgraph-extract', '-module-name', module, '-target', target, '-I', modules, '-output-dir', folder,
      '-minimum-access-level', 'public', '-skip-synthesized-members', ...maps,
    ]);
    // A file of its own for each module that this one extends.
    const graphs = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
    const symbols = graphs.flatMap((graph) => graph.symbols);
    const names = new Map(symbols.map((symbol) => [symbol.identifier.precise, symbol]));
    return [...new Set(graphs.flatMap((graph) => [
      ...graph.symbols.map(declaration),
      ...graph.relationships.filter(({ kind }) => kind === 'conformsTo').flatMap((one) => conformance(one, names)),
    ]))].sort();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function declaration(symbol) {
  const text = symbol.declarationFragments.map((fragment) => fragment.spelling).join('');
  const where = (symbol.swiftExtension?.constraints ?? []).map(({ lhs, kind, rhs }) => {
    return `${lhs} ${kind === 'sameType' ? '==' : ':'} ${rhs}`;
  });
  const condition = where.length > 0 ? ` [where ${where.join(', ')}]` : '';
  return `${path(symbol)} ${text.replace(/\s+/g, ' ')}${condition}`;
}

function conformance({ source, target: protocol, targetFallback }, names) {
  const type = names.get(source);
  const name = names.has(protocol) ? path(names.get(protocol)) : targetFallback?.replace(/^Swift\./, '') ?? protocol;
  return type === undefined || implied.has(name) ? [] : [`${path(type)}: ${name}`];
}

function path(symbol) {
  return symbol.pathComponents.join('.');
}

// ---- the lists

/** What differs, in words; nothing when nothing does. */
function differences(module, now) {
  const file = join(here, `${module}.txt`);
  const before = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '') : [];
  const [had, has] = [new Set(before), new Set(now)];
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${module}: ${line}`),
    ...now.filter((line) => !had.has(line)).map((line) => `+ ${module}: ${line}`),
  ];
}

function accept(module, now) {
  const file = join(here, `${module}.txt`);
  if (now.length > 0) writeFileSync(file, `${now.join('\n')}\n`);
  else rmSync(file, { force: true });
}

async function main() {
  const names = rooms();
  const lists = await Promise.all(names.map(declarations));
  const all = new Map(names.map((name, index) => [name, lists[index]]));
  // Built without its trait it has nothing to look at, which is no change.
  if (all.get('PomeloSyncPostgres')?.length === 0) all.delete('PomeloSyncPostgres');
  // Of a room that is gone everything is gone.
  for (const name of readdirSync(here).filter((file) => file.endsWith('.txt')).map((file) => file.slice(0, -4))) {
    if (!all.has(name) && !names.includes(name)) all.set(name, []);
  }
  const changes = [...all].flatMap(([module, now]) => differences(module, now));
  for (const line of changes) console.log(line);
  if (words.includes('accept')) {
    for (const [module, now] of all) accept(module, now);
    return 0;
  }
  const count = [...all.values()].reduce((sum, list) => sum + list.length, 0);
  const broken = changes.filter((line) => line.startsWith('-')).length;
  if (changes.length === 0) {
    console.log(`${count} public declarations are as Tests/API has them`);
    return 0;
  }
  const fresh = changes.length - broken;
  console.log(`${broken} declarations gone or changed, ${fresh} new or changed: if it is meant, ./dev api accept`);
  return 1;
}

main().then((status) => process.exit(status), (error) => {
  console.error(error.stderr || error.message);
  process.exit(1);
});
