/**
 * Makes what runs out of what is written. `node coordinator/build.ts islands` compiles the pages' browser parts, each
 * `pages/NAME.island.ts` to `dist/islands/NAME.txt`; without an argument the coordinator and the command line follow.
 *
 * Pages import the islands as text, so they must be there before anything that loads a page: npm's `prepare` makes them.
 * Imported, this file builds nothing by itself; `agent/embedded.ts` asks it for a coordinator in memory.
 */
import { chmod, readdir, rm } from 'node:fs/promises'
import { build, type BuildOptions } from 'esbuild'
import { OLDEST_NODE } from '../schema/version.ts'

const root = new URL('..', import.meta.url).pathname
const shared = { absWorkingDir: root, bundle: true, legalComments: 'none', logLevel: 'warning' } as const satisfies BuildOptions

const coordinator = {
  ...shared,
  entryPoints: ['coordinator/worker.ts'],
  outfile: 'dist/coordinator.mjs',
  format: 'esm',
  target: 'es2024',
  platform: 'neutral',
  conditions: ['workerd', 'worker', 'browser'],
  mainFields: ['browser', 'module', 'main'],
  external: ['cloudflare:*', 'node:*'],
  loader: { '.sql': 'text', '.txt': 'text' },
  jsx: 'automatic',
  jsxImportSource: 'hono/jsx',
} as const satisfies BuildOptions

if (import.meta.main) await buildWanted(process.argv.slice(2))

/** The coordinator as one ES module, from source, written nowhere. */
export async function coordinatorScript(): Promise<string> {
  await buildIslands()
  const { outputFiles } = await build({ ...coordinator, write: false })
  const [script] = outputFiles
  if (script === undefined) throw new Error('esbuild made no coordinator')
  return script.text
}

async function buildWanted(wanted: readonly string[]): Promise<void> {
  if (wanted.length > 1 || (wanted[0] !== undefined && wanted[0] !== 'islands')) {
    console.error(`kedge: cannot build ${wanted.join(' ')}: "islands" is the only part that can be built alone. Leave it out to build everything.`)
    process.exit(2)
  }
  await buildIslands()
  if (wanted.length === 0) await Promise.all([build(coordinator), buildCommandLine()])
}

async function buildIslands(): Promise<void> {
  const islands = (await readdir(`${root}coordinator/pages`)).filter((name) => name.endsWith('.island.ts'))
  await build({
    ...shared,
    entryPoints: islands.map((name) => ({ in: `coordinator/pages/${name}`, out: name.replace('.island.ts', '') })),
    outdir: 'dist/islands',
    outExtension: { '.js': '.txt' },
    format: 'iife',
    target: 'es2022',
    minify: true,
    // They are written into pages inside <script>, which "</script" in a string would end; ASCII needs no charset.
    charset: 'ascii',
  })
}

/** In pieces, so that what a command imports late is not read for `--help`; all beside coordinator.mjs, which one of them looks for. */
async function buildCommandLine(): Promise<void> {
  const { metafile } = await build({
    ...shared,
    entryPoints: { kedge: 'agent/cli/main.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    splitting: true,
    chunkNames: 'kedge-[hash]',
    metafile: true,
    format: 'esm',
    target: `node${OLDEST_NODE}`,
    platform: 'node',
    // Both hold native programs, which cannot be bundled.
    external: ['miniflare', 'workerd'],
    // Some dependencies are CommonJS and call `require` for Node's own modules.
    banner: { js: "#!/usr/bin/env node\nimport { createRequire as kedgeCreateRequire } from 'node:module'\nconst require = kedgeCreateRequire(import.meta.url)" },
  })
  await chmod(`${root}dist/kedge.mjs`, 0o755)
  const stale = (await readdir(`${root}dist`)).filter((name) => /^kedge-[A-Z0-9]+\.mjs$/.test(name) && !Object.hasOwn(metafile.outputs, `dist/${name}`))
  await Promise.all(stale.map((name) => rm(`${root}dist/${name}`, { force: true })))
}
