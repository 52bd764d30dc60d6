// SPDX-License-Identifier: MIT

extension EngineIOSession {
    /// When ``timePassed(now:)`` has next something to do, or nil when never; a call before does nothing.
    public var deadline: UInt64? {
        [silentAt, pingDueAt, stageDeadline, pollDeadline, absentAt].compactMap { isClosed ? nil : $0 }.min()
    }

    /// Does what is due by now: pings, ends of waiting, the end of the session.
    public mutating func timePassed(now: UInt64) -> [Action] {
        var actions: [Action] = []
        if isDue(silentAt, now) {
            finish(isClosing ? .serverClosed : .silent, &actions)
        } else if isDue(absentAt, now) {
            finish(.absent, &actions)
        }
        if isDue(stageDeadline, now) {
            switch stage {
            case .probing(let number, _, _):
                stage = .polling
                actions.append(.closeWebSocket(number))
            default: finish(.serverClosed, &actions)
            }
        }
        if isDue(pingDueAt, now) { ping(&actions, now) }
        if isDue(pollDeadline, now), let poll {
            noops &+= 1
            answer(poll.number, [], &actions)
            absentSince = now
        }
        return actions
    }

    private func isDue(_ time: UInt64?, _ now: UInt64) -> Bool {
        guard let time, !isClosed else { return false }
        return now >= time
    }

    /// In version 4 the answer to the ping is missing, in version 3 the client's ping, in 0.9 anything.
    private var silentAt: UInt64? {
        guard let interval = options.pingInterval else { return nil }
        switch revision {
        case .one: return heardAt &+ options.pingTimeout
        case .four: return heardAt &+ interval &+ options.pingTimeout
        case .five: return pingSentAt.map { $0 &+ options.pingTimeout }
        }
    }

    private var stageDeadline: UInt64? {
        switch stage {
        case .probing(_, _, let until), .closing(let until): until
        default: nil
        }
    }

    private var pollDeadline: UInt64? {
        guard let poll else { return nil }
        if case .probing(_, isProbed: true, _) = stage { return poll.since &+ Self.noopDelay }
        // Without signs of life a poll that nobody waits for any more is noticed by the next that does not come.
        return revision == .one || options.pingInterval == nil ? poll.since &+ options.pollDuration : nil
    }

    private var absentAt: UInt64? {
        guard poll == nil else { return nil }
        switch stage {
        case .new: return absentSince &+ options.closeTimeout
        case .polling where revision == .one || options.pingInterval == nil: return absentSince &+ options.closeTimeout
        default: return nil
        }
    }

    private mutating func ping(_ actions: inout [Action], _ now: UInt64) {
        guard let interval = options.pingInterval, !isClosing else {
            pingDueAt = nil
            return
        }
        let ping = revision == .one ? SocketIO09Packet.heartbeat : EngineIOPacket.ping
        if revision == .one {
            pingDueAt = now &+ interval
            // A client that does not poll finds one when it comes back.
            if queue.contains(where: { $0.bytes == ping }) { return }
        } else {
            pingDueAt = nil
            pingSentAt = now
        }
        actions += send(ping, now: now)
    }
}
