/** Where Chromium is on this machine. Whoever runs the tests asks before: without one they are left out, which is said. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'] as const

/** `KEDGE_TEST_CHROMIUM`, else the first of the usual names on the PATH, else the one that playwright downloaded; null without any. */
export function findChromium(): string | null {
  const asked = process.env['KEDGE_TEST_CHROMIUM']
  if (asked !== undefined) return existsSync(asked) ? asked : null
  const onPath = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)))
  return [...onPath, chromium.executablePath()].find((path) => existsSync(path)) ?? null
}

export const NO_CHROMIUM = 'no Chromium found: browser tests left out (looked on the PATH; KEDGE_TEST_CHROMIUM names another)'
