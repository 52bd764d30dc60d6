// SPDX-License-Identifier: MIT
public import PomeloBytes

/// What an owner may do beside reporting.
extension EngineIOSession {
    /// Whether a WebSocket may be opened now.
    public var takesWebSocket: Bool { stage == .new || stage == .polling && revision != .one }

    /// Whether the answer to a ping is awaited; what comes then moves ``deadline`` forward.
    public var awaitsPong: Bool { pingSentAt != nil }

    /// Drops the packets about something; returns how many.
    public mutating func drop(topic: Text) -> Int {
        leaveOut { $0.topic == topic }
    }

    /// Drops the oldest packets that may be until no more than so many bytes wait; returns how many.
    public mutating func dropOldest(downTo bytes: Int) -> Int {
        var excess = queuedBytes &- bytes
        return leaveOut { packet in
            guard excess > 0, packet.topic != nil else { return false }
            excess &-= packet.bytes.count
            return true
        }
    }

    private mutating func leaveOut(_ isLeftOut: (Packet) -> Bool) -> Int {
        let before = queue.count
        queue.removeAll { packet in
            guard isLeftOut(packet) else { return false }
            queuedBytes &-= packet.bytes.count
            return true
        }
        return before &- queue.count
    }

    /// The client has said something that nobody has read yet: silence proves nothing.
    public mutating func noteHeard(now: UInt64) {
        heardAt = now
        if pingSentAt != nil { pingSentAt = now }
    }

    /// Ends the session without telling the client, who takes it for a lost connection and comes back.
    ///
    /// A client that is told stays away. A poll that waits is answered with nothing.
    public mutating func abandon() -> [Action] {
        guard !isClosed else { return [] }
        var actions: [Action] = []
        finish(.serverClosed, &actions)
        return actions
    }
}
