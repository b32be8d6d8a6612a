/** The agents: who is there, what each does now, and why one takes no work. */
import type { AgentView } from '../../schema/api.ts'
import { buildPath } from './builds.tsx'
import { Page, type PageFrame } from './layout.tsx'
import { Ago, State } from './state.tsx'

interface AgentsProps {
  readonly frame: PageFrame
  readonly agents: readonly AgentView[]
  readonly origin: string
  readonly islands: readonly string[]
}

export function AgentsPage({ frame, agents, origin, islands }: AgentsProps) {
  const used = agents.reduce((sum, agent) => sum + agent.running.length, 0)
  const slots = agents.filter(takesWork).reduce((sum, agent) => sum + agent.slots, 0)
  return (
    <Page frame={frame} title="Agents" at="agents" refreshMs={5000} islands={islands}>
      <div class="head">
        <h1>Agents</h1>
        {agents.length > 0 && (
          <p class="facts">
            <span>{agents.filter(takesWork).length} of {agents.length} take work</span>
            <span>{used} of {slots} slots used</span>
          </p>
        )}
      </div>
      {agents.length === 0 ? <NoAgents origin={origin} /> : (
        <ul class="agents-list">
          {[...agents].sort(byNeed).map((agent) => (
            <AgentRow agent={agent} now={frame.now} />
          ))}
        </ul>
      )}
    </Page>
  )
}

function takesWork({ state }: AgentView): boolean {
  return state === 'ready' || state === 'busy'
}

/** Those that need a look first, those that are gone last, by name within. */
const ORDER: readonly AgentView['state'][] = ['unhealthy', 'held_back', 'draining', 'busy', 'ready', 'offline', 'revoked']

function byNeed(one: AgentView, other: AgentView): number {
  return ORDER.indexOf(one.state) - ORDER.indexOf(other.state) || one.name.localeCompare(other.name, 'en', { numeric: true })
}

function AgentRow({ agent, now }: { readonly agent: AgentView; readonly now: number }) {
  return (
    <li id={`agent-${agent.id}`}>
      <State of={agent.state} />
      <div class="about">
        <span class="name">{agent.name}</span>
        <span class="offers">
          <span class="tag">queue={agent.queue}</span>
          {agent.tags.map((tag) => (
            <span class="tag">{tag}</span>
          ))}
        </span>
        {agent.reason !== null && <span class="reason">{agent.reason}</span>}
      </div>
      <Slots agent={agent} />
      <LastSeen agent={agent} now={now} />
      <span class="host" title={`${agent.host.hostname}, Kedge ${agent.host.version}`}>{agent.host.os}/{agent.host.arch}</span>
    </li>
  )
}

/** A coordinator that slept has forgotten when it last heard from an agent, though not that the agent's doorbell is connected. */
function LastSeen({ agent, now }: { readonly agent: AgentView; readonly now: number }) {
  if (agent.last_seen !== null) return <span class="seen"><Ago at={agent.last_seen} now={now} /></span>
  return <span class="seen">{takesWork(agent) ? 'connected' : ''}</span>
}

function Slots({ agent }: { readonly agent: AgentView }) {
  return (
    <div class="slots">
      {/* Above this many, squares say less than the number does. */}
      {agent.slots <= 16 && (
        <span class="squares" aria-hidden="true">
          {Array.from({ length: Math.max(agent.slots, agent.running.length) }, (_, index) => (
            <i class={index < agent.running.length ? 'used' : ''} />
          ))}
        </span>
      )}
      <span>{agent.running.length}/{agent.slots}</span>
      <span class="held">
        {agent.running.map((held) => (
          <a href={buildPath({ project: held.project, number: held.build })}>{held.project} #{held.build}</a>
        ))}
      </span>
    </div>
  )
}

function NoAgents({ origin }: { readonly origin: string }) {
  return (
    <section class="empty">
      <h2>No agent has joined yet</h2>
      <p>On any machine with Node that can reach this address:</p>
      <pre>{`KEDGE_REGISTRATION_TOKEN=kdg_reg_… npx kedge agent --url ${origin}`}</pre>
      <p>It needs no open port: it calls here, and keeps calling.</p>
    </section>
  )
}
