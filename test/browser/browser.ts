/**
 * A person's browser before a real coordinator: one Chromium a file, one fresh context a visit. Whatever a page
 * complains of (console, uncaught errors, its own security policy) fails the test that opened it, unless it took note.
 */
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import type { Coordinator } from '../support/installation.ts'
import { findChromium, NO_CHROMIUM } from './chromium.ts'

/** Generous: it ends a test that has failed, and measures nothing. */
export const DEADLINE_MS = 45_000

export interface People {
  /** A page of a browser of its own, signed in as admin but for `signedIn: false`. */
  visit(path: string, options?: VisitOptions): Promise<Page>
  /** What pages complained of so far; it is forgotten by being asked for. */
  takeComplaints(): readonly string[]
}

export interface VisitOptions extends BrowserContextOptions {
  readonly signedIn?: boolean
  readonly at?: Pick<Coordinator, 'url' | 'adminToken'>
}

export function sharedBrowser(coordinator: () => Coordinator): People {
  let browser: Browser | undefined
  let complaints: string[] = []

  beforeAll(async () => {
    const executablePath = findChromium()
    if (executablePath === null) throw new Error(NO_CHROMIUM)
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  })
  afterEach(async () => {
    for (const context of browser?.contexts() ?? []) await context.close()
    const all = complaints
    complaints = []
    expect(all, 'what the pages complained of').toEqual([])
  })
  afterAll(() => browser?.close())

  return {
    async visit(path, { signedIn = true, at = coordinator(), ...options } = {}) {
      if (browser === undefined) throw new Error('the browser has not started')
      const context = await browser.newContext({ baseURL: at.url, ...options })
      context.setDefaultTimeout(DEADLINE_MS)
      if (signedIn) expect((await context.request.post('/sign-in', { form: { token: at.adminToken }, maxRedirects: 0 })).status()).toBe(303)
      const page = await context.newPage()
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(`${new URL(page.url()).pathname}: ${message.text()}`)
      })
      page.on('pageerror', (error) => complaints.push(`${new URL(page.url()).pathname}: ${String(error)}`))
      await page.goto(path)
      return page
    },
    takeComplaints() {
      const all = complaints
      complaints = []
      return all
    },
  }
}

/** The state that heads a build's page, or that a row of a list has. */
export function stateIn(page: Page, state: string, row = '.build-head'): Locator {
  return page.locator(`${row} .state`).filter({ hasText: new RegExp(`^\\s*${state}\\s*$`) })
}

/** How often the page was loaded anew since this was called. */
export function countLoads(page: Page): () => number {
  let loads = 0
  page.on('load', () => (loads += 1))
  return () => loads
}
