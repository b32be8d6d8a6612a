import { describe, expect, it } from 'vitest'
import { createAnsi } from '../../../coordinator/pages/ansi.ts'
import { Log, LOG, renderLog, type LogText } from '../../../coordinator/pages/log.tsx'
import { attemptView } from '../../support/views.ts'

function whole(text: string, over: Partial<LogText> = {}): LogText {
  const bytes = new TextEncoder().encode(text)
  return { bytes, from: 0, total: bytes.length, ended: true, ...over }
}

describe('the log as the server renders it', () => {
  it('numbers its lines from 1 and keeps the unfinished one apart', () => {
    expect(renderLog(whole('one\ntwo\nthr'))).toEqual({ lines: ['one', 'two'], first: 1, unfinished: 'thr', resume: 8, pen: '' })
  })

  it('shows the last lines under their own numbers', () => {
    const log = renderLog(whole(Array.from({ length: LOG.lines + 10 }, (_, index) => `line ${index + 1}\n`).join('')))
    expect(log.lines).toHaveLength(LOG.lines)
    expect(log.first).toBe(11)
    expect(log.lines[0]).toBe('line 11')
  })

  it('begins after the first newline and gives no numbers where what comes before was not read', () => {
    expect(renderLog(whole('half a line\nwhole\nrest', { from: 100 }))).toMatchObject({ lines: ['whole'], first: null, unfinished: 'rest', resume: 118 })
  })

  it('a reader that goes on at "resume" with the pen sees what one sees who read it all', () => {
    const text = 'a\n\u001b[1;31mred\nstill \u001b[4mred\nand mo'
    const bytes = new TextEncoder().encode(`${text}re\nplain\u001b[0m\n`)
    const log = renderLog(whole(text))
    const later = createAnsi()
    later.push(log.pen)
    expect([...log.lines, ...later.push(bytes.subarray(log.resume))]).toEqual(createAnsi().push(bytes))
  })

  it('tells its island where to go on, and lets nobody follow what has ended', async () => {
    const live = String(await Log({ job: 'J1-7-1', attempt: attemptView({ fence: 3 }), text: whole('one\ntwo', { ended: false }) }))
    expect(live).toContain('data-url="/api/v1/jobs/J1-7-1/log?attempt=3" data-live="true" data-resume="4" data-next="2"')
    expect(live).toContain('<div id="L1">')
    expect(live).toContain('<div class="open" id="L2">')
    expect(String(await Log({ job: 'J1-7-1', attempt: attemptView(), text: whole('') }))).toContain('data-live="false"')
  })

  it('is hostile, and stays text', async () => {
    const html = String(await Log({ job: 'J1-7-1', attempt: attemptView(), text: whole('<img src=x onerror=alert(1)>\n') }))
    expect(html).not.toContain('<img')
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;')
  })
})
