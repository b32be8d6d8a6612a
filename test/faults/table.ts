/** The rows as people read them: in docs/faults.md and by `--list`. */
import { processTests } from './names.ts'
import type { FaultRow, Proof } from './rows.ts'

export function markdown(rows: readonly FaultRow[]): string {
  const tests = processTests()
  const places = (id: string) => [...new Set(tests.filter((test) => test.rows.includes(id)).map(({ file }) => `\`${file.slice('test/'.length)}\``))].join(', ')
  return ['| | fault | shown by |', '|---|---|---|', ...rows.map(({ id, fault, shown }) => `| ${id} | ${fault} | ${shown.map((proof) => inWords(proof, places(id))).join('; ')} |`)].join('\n')
}

function inWords(proof: Proof, places: string): string {
  switch (proof.by) {
    case 'processes':
      return `real processes: ${places}`
    case 'unit':
    case 'workers':
      return `\`${proof.file.slice('test/'.length)}\` (${proof.why})`
    case 'bench':
      return `\`npm run bench -- ${proof.bar}\` (${proof.why})`
    case 'simulation':
      return `simulation only (${proof.why})`
    case 'later':
      return `not yet: ${proof.why}`
    default:
      return proof satisfies never
  }
}
