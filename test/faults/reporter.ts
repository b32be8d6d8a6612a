/** Says what became of each test the moment it is known, one line of JSON each: whoever stops a run half-way wants to hear of that half. */
import type { Reporter, TestCase, TestModule } from 'vitest/node'

export interface Told {
  /** From the root of the repository. */
  readonly file: string
  readonly name: string
  readonly state: 'passed' | 'failed'
  readonly seconds: number
  readonly message: string
  /** What it measured on its way. */
  readonly notes: readonly string[]
}

export default class JsonLines implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const { state, errors } = test.result()
    if (state !== 'passed' && state !== 'failed') return
    this.#tell({ file: test.module.relativeModuleId, name: test.fullName, state, seconds: (test.diagnostic()?.duration ?? 0) / 1000, notes: test.annotations().map(({ message }) => message), message: (errors ?? []).map(({ message, stack }) => `${message}\n${stack ?? ''}`).join('\n') })
  }

  /** A file that cannot even be loaded has no tests. */
  onTestModuleEnd(module: TestModule): void {
    for (const { message, stack } of module.errors()) this.#tell({ file: module.relativeModuleId, name: '(the file itself)', state: 'failed', seconds: 0, notes: [], message: `${message}\n${stack ?? ''}` })
  }

  /** What no test is to blame for is said as it is. */
  onTestRunEnd(_modules: readonly TestModule[], errors: readonly { readonly message?: string; readonly stack?: string | undefined }[]): void {
    for (const { message, stack } of errors) process.stderr.write(`${stack ?? message ?? 'an error without a message'}\n`)
  }

  #tell(told: Told): void {
    process.stdout.write(`${JSON.stringify(told)}\n`)
  }
}
