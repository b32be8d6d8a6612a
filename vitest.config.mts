import { availableParallelism } from 'node:os'
import { cloudflareTest } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'
import { FUZZING } from './test/fuzz/seed.ts'
import { mayMount } from './test/support/mounting.ts'
import { STRETCH, TIME_SCALE } from './test/support/scale.ts'

/** Files of tests with whole processes at a time. At the times of production they mostly wait. */
const AT_ONCE = TIME_SCALE === 1 ? 6 : 2

/** Whole processes are what users get. */
const BUILT = './test/support/built-programs.ts'

// Units share what they import, which is a third of their time: a test leaves nothing behind in a module.
// Where several kinds run at once, they do so one after the other.
// Six kinds of test by where they run: plain Node, simulated worlds in it, the Workers runtime, whole processes end to end, those under faults, and those before a browser.
// Rooms that need the Workers runtime keep the tests that do not need it in a folder `in-node`.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/{schema,agent,coordinator,architecture,conformance,fuzz,soak,cost}/**/*.test.ts', 'test/faults/rows.test.ts'], exclude: ['test/coordinator/{objects,http,pages}/*.test.ts'], testTimeout: 60_000, hookTimeout: 120_000, isolate: false, maxWorkers: Math.max(4, availableParallelism()), sequence: { groupOrder: 1 } } },
      { test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000, sequence: { groupOrder: 2 } } },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' }, miniflare: { bindings: { KEDGE_ADMIN_TOKEN: 'kdg_adm_for-tests-only-0123456789abcdef', KEDGE_SIGNING_KEY: 'for-tests-only-0123456789abcdef0123456789abcdef', KEDGE_REGISTRATION_TOKEN: 'kdg_reg_for-tests-only-0123456789abcdef' } } })],
        test: { name: 'workers', env: FUZZING, include: ['test/coordinator/{objects,http,pages}/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, sequence: { groupOrder: 3 } },
      },
      { test: { name: 'end-to-end', globalSetup: BUILT, include: ['test/end-to-end/**/*.test.ts'], testTimeout: 180_000 * STRETCH, hookTimeout: 60_000 * STRETCH, maxWorkers: AT_ONCE, sequence: { groupOrder: 4 } } },
      // Real processes under the faults of docs/faults.md; `npm run faults -- --full` lives through them at the times of production.
      { test: { name: 'faults', globalSetup: BUILT, include: ['test/faults/**/*.test.ts'], exclude: ['test/faults/rows.test.ts', ...(mayMount() ? [] : ['test/faults/disks.test.ts'])], testTimeout: 180_000 * STRETCH, hookTimeout: 60_000 * STRETCH, maxWorkers: AT_ONCE, sequence: { groupOrder: 4 } } },
      { test: { name: 'browser', globalSetup: BUILT, include: ['test/browser/**/*.test.ts'], testTimeout: 180_000, hookTimeout: 60_000, maxWorkers: 2, sequence: { groupOrder: 5 } } },
    ],
  },
})
