import { describe, expect, it } from 'vitest'
import { kindOf, verdict } from '../../../support/conditions.ts'

describe('refused before any value is known:', () => {
  it.each([
    ['build.brnch == "main"', 'validation at «build.brnch»: there is no variable "build.brnch"; did you mean build.branch?'],
    ['branch == "main"', 'validation at «branch»: there is no variable "branch"; a text stands in quotes, and a variable of the environment is build.env("NAME").'],
    ['build.env == "main"', 'validation at «build.env»: build.env says nothing by itself; ask it for a variable, as in build.env("NAME").'],
    ['getenv("A") == "main"', 'validation at «getenv("A")»: there is no function "getenv"; there are env("NAME") and build.env("NAME").'],
    ['build.env("A", "B") == "main"', 'validation at «"B"»: build.env is asked for one variable, as in build.env("NAME").'],
    ['build.env(1) == "main"', 'validation at «1»: build.env is asked by the name of a variable, which is a text, not a number.'],
    ["build.env('$HOME') == 'main'", `validation at «'$HOME'»: a variable is asked for without "$": "HOME".`],
    ['build.env("a b") == "main"', 'validation at «"a b"»: "a b" is no name of a variable, which has letters, digits and "_".'],
    ['env("BUILDKITE_BRNCH") == "main"', 'validation at «"BUILDKITE_BRNCH"»: a condition cannot see "BUILDKITE_BRNCH"; did you mean "BUILDKITE_BRANCH"?'],
    ['env("BUILDKITE_JOB_ID") == "1"', 'validation at «"BUILDKITE_JOB_ID"»: a condition cannot see "BUILDKITE_JOB_ID"; only a running job has it, so decide it in the script of the step.'],
    ['build.number == "1"', 'validation at «"1"»: a number is expected on both sides of "==", not a text.'],
    ['(true ? "a" : 1) == null', 'validation at «1»: a text is expected on both sides of ":", not a number.'],
    ['!build.branch', 'validation at «build.branch»: true or false is expected behind "!", not a text.'],
    ['build.branch && true', 'validation at «build.branch»: true or false is expected beside "&&", not a text.'],
    ['"main" =~ "main"', 'validation at «"main"»: a regular expression is expected right of "=~", not a text.'],
    ['build.branch includes "a"', 'validation at «build.branch»: a list of texts or null is expected left of "includes", not a text.'],
    ['["a", 1] includes "a"', 'validation at «1»: a text is expected within a list, not a number.'],
  ])('%s', (text, error) => {
    expect(verdict(text)).toBe(error)
  })

  it('a name that would never be asked for', () => {
    expect(kindOf('false && nobody.knows == 1')).toBe('validation')
  })

  it('what is neither true nor false', () => {
    expect(verdict('build.branch')).toBe('result at «build.branch»: a condition is true or false, but this is a text; compare it with something, as in "… != null".')
    for (const text of ['null', '1', '"a"', '/a/', '["a"]', 'true ? "a" : "b"', 'env("A")']) expect(kindOf(text), text).toBe('result')
  })
})

describe('a value that may only be one of some', () => {
  it('is compared with one of them', () => {
    expect(verdict('build.state == "passed"', { build: { state: 'passed' } })).toBe(true)
    expect(verdict('build.state != null', { build: { state: 'passed' } })).toBe(true)
    expect(verdict('build.state == "pased"')).toBe('validation at «"pased"»: build.state is never "pased"; did you mean "passed"?')
    expect(kindOf('build.blocked_state == "x"')).toBe('validation')
  })

  it('stands on the left, and is neither searched nor listed', () => {
    for (const text of ['"passed" == build.state', 'build.state =~ /pass/', '[build.state] includes "passed"', 'build.state == build.source']) expect(kindOf(text), text).toBe('validation')
  })

  it('may be held against a variable, which is known later', () => {
    expect(verdict('build.state == "${STATE}"', { build: { state: 'passed' }, env: { STATE: 'passed' } })).toBe(true)
    expect(kindOf('build.state == "\\${STATE}"')).toBe('validation')
  })
})

describe('variables', () => {
  it('of what is not known are null', () => {
    for (const name of ['build.branch', 'build.number', 'build.creator.teams', 'build.pull_request.id', 'build.pull_request.repository.fork', 'build.merge_queue.base_branch', 'pipeline.slug', 'organization.id']) expect(verdict(`${name} == null`), name).toBe(true)
  })

  it('say what the context does', () => {
    const build = { number: 7, branch: 'main', creator: { teams: ['deploy'] }, pullRequest: { id: '12', isFork: true, labels: ['bug'] }, scm: { authorName: 'Ada' } }
    expect(verdict('build.number == 7 && build.branch == "main" && build.creator.teams includes "deploy" && build.scm.author.name == "Ada"', { build })).toBe(true)
    expect(verdict('build.pull_request.id == "12" && build.pull_request.repository.fork && build.pull_request.labels includes /^b/', { build })).toBe(true)
  })

  it('that are blank are null where a blank says nothing', () => {
    expect(verdict('build.tag == null && build.message == null && pipeline.default_branch == null', { build: { tag: '', message: ' \n' }, pipeline: { defaultBranch: '' } })).toBe(true)
    expect(verdict('build.branch == ""', { build: { branch: '' } })).toBe(true)
  })

  it('of a webhook are null in any other build', () => {
    const pullRequest = { label: 'bug' }
    expect(verdict('build.source_event == "pull_request" && build.pull_request.label == "bug"', { build: { source: 'webhook', sourceEvent: 'pull_request', pullRequest } })).toBe(true)
    expect(verdict('build.source_event == "push" && build.pull_request.label == null', { build: { source: 'webhook', pullRequest }, env: { BUILDKITE_GITHUB_EVENT: 'push' } })).toBe(true)
    expect(verdict('build.source_event == null && build.source_action == null && build.pull_request.label == null', { build: { source: 'ui', sourceEvent: 'pull_request', sourceAction: 'opened', pullRequest } })).toBe(true)
  })

  it('of a step are known in its notifications only', () => {
    const text = 'step.outcome == "hard_failed" && step.key == "test"'
    expect(verdict(text, { use: { stepVariables: true }, step: { outcome: 'hard_failed', key: 'test' } })).toBe(true)
    expect(verdict(text, { use: { stepVariables: true } })).toBe(false)
    expect(verdict(text)).toBe('validation at «step.outcome»: "step.outcome" is known only in the notifications of a step: when this is decided, no step has run.')
    expect(verdict('step.outcom == "passed"', { use: { stepVariables: true } })).toMatch(/did you mean step.outcome\?$/)
  })
})

describe('the environment', () => {
  it('tells a variable that is empty from one that is not set', () => {
    const env = { EMPTY: '' }
    expect(verdict('build.env("EMPTY") == "" && build.env("NONE") == null', { env })).toBe(true)
    expect(verdict('env("EMPTY") == "" && env("NONE") == ""', { env })).toBe(true)
  })

  it('says what build this is, whatever variables claim', () => {
    expect(verdict('build.env("BUILDKITE_BRANCH") == "topic" && $BUILDKITE_BRANCH == "topic"', { build: { branch: 'topic' }, env: { BUILDKITE_BRANCH: 'main' } })).toBe(true)
    expect(verdict('env("BUILDKITE_PULL_REQUEST") == "false" && build.env("BUILDKITE_TAG") == ""')).toBe(true)
    expect(verdict('env("BUILDKITE_PULL_REQUEST") == "12"', { build: { pullRequest: { id: '12' } } })).toBe(true)
  })

  it('has a base to compare with in a merge queue only', () => {
    const mergeQueue = { baseBranch: 'main', baseCommit: 'abc' }
    expect(verdict('env("BUILDKITE_GIT_DIFF_BASE") == ""', { build: { mergeQueue } })).toBe(true)
    expect(verdict('env("BUILDKITE_GIT_DIFF_BASE") == "main"', { build: { mergeQueue: { ...mergeQueue, isActive: true } } })).toBe(true)
    expect(verdict('env("BUILDKITE_GIT_DIFF_BASE") == "abc"', { build: { mergeQueue: { ...mergeQueue, isActive: true } }, pipeline: { diffsFromMergeQueueCommit: true } })).toBe(true)
  })

  it('hides what only a running job may know, however it is asked for', () => {
    const env = { BUILDKITE_AGENT_ACCESS_TOKEN: 'secret', NAME: 'BUILDKITE_AGENT_ACCESS_TOKEN' }
    expect(kindOf('build.env("BUILDKITE_AGENT_ACCESS_TOKEN") == null', { env })).toBe('validation')
    expect(kindOf('build.env(env("NAME")) == null', { env })).toBe('evaluation')
    expect(kindOf('build.env("${NAME}") == null', { env })).toBe('evaluation')
    expect(verdict('$BUILDKITE_AGENT_ACCESS_TOKEN == null', { env })).toBe(true)
  })

  it('has the labels of a pull request for a name that is put together', () => {
    const build = { pullRequest: { labels: ['bug', 'urgent'] } }
    expect(kindOf('env("BUILDKITE_PULL_REQUEST_LABELS") == "bug,urgent"', { build })).toBe('validation')
    expect(verdict('env("BUILDKITE_${NAME}") == "bug,urgent"', { build, env: { NAME: 'PULL_REQUEST_LABELS' } })).toBe(true)
  })

  it('cannot be asked for a variable without a name', () => {
    expect(kindOf('build.env(env("NONE")) == null')).toBe('evaluation')
    expect(kindOf('build.env(build.env("NONE")) == null')).toBe('evaluation')
  })
})

describe('nothing', () => {
  it('is in no list, matches nothing, and is equal to itself', () => {
    expect(verdict('null includes "a" || ["a"] includes null || null =~ /a/ || null includes /a/')).toBe(false)
    expect(verdict('build.branch !~ /a/')).toBe(true)
  })

  it('within a list cannot be compared', () => {
    expect(kindOf('[$NONE] includes "a"')).toBe('evaluation')
    expect(verdict('["a", $NONE] includes "a"')).toBe(true)
    expect(verdict('[$NONE] includes null')).toBe(false)
  })
})
