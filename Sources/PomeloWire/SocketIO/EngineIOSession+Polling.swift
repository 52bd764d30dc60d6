// SPDX-License-Identifier: MIT
import PomeloBytes

extension EngineIOSession {
    /// A poll has arrived: a GET with this session's name, or the first one, which has none.
    public mutating func pollArrived(_ number: Number, now: UInt64) -> [Action] {
        var actions: [Action] = []
        switch stage {
        case .closed: return [.refuse(number, .unknownSession)]
        case .webSocket: return [.refuse(number, .badRequest)]
        case .new: stage = .polling
        case .polling, .probing, .closing: break
        }
        if let earlier = poll {
            guard revision == .one else {
                actions.append(.refuse(number, .badRequest))
                finish(.overlap, &actions)
                return actions
            }
            // A client of 0.9 gives up polls, and its next may overtake the end of the last.
            answer(earlier.number, [], &actions)
        }
        unwritten = nil
        poll = Poll(number: number, since: now)
        flush(&actions, now)
        return actions
    }

    /// The head of a POST has arrived; its body is on the way.
    public mutating func postBegan(_ number: Number) -> [Action] {
        var actions: [Action] = []
        switch stage {
        case .closed: return [.refuse(number, .unknownSession)]
        case .webSocket, .new: return [.refuse(number, .badRequest)]
        case .polling, .probing, .closing: break
        }
        guard post == nil else {
            actions.append(.refuse(number, .badRequest))
            finish(.overlap, &actions)
            return actions
        }
        post = number
        return []
    }

    /// The head of a POST has arrived before the one before it was answered.
    public mutating func postOverlaps(_ number: Number) -> [Action] {
        if isClosed { return [.refuse(number, .unknownSession)] }
        var actions: [Action] = [.refuse(number, .badRequest)]
        finish(.overlap, &actions)
        return actions
    }

    /// A whole POST has arrived, after ``postBegan(_:)``.
    public mutating func postArrived(_ number: Number, body: Span<UInt8>, now: UInt64) -> [Action] {
        var actions: [Action] = []
        guard post == number else { return [] }
        post = nil
        do throws(WireError) {
            let packets = try packets(in: body)
            actions.append(.accept(number))
            for packet in packets where !isClosed { take(packet, &actions, now) }
        } catch {
            actions.append(.refuse(number, .badRequest))
            finish(.malformed, &actions)
        }
        return actions
    }

    /// A client of 0.9 asks for the end with a request of its own: `GET …?disconnect=1`.
    public mutating func closeRequested(_ number: Number) -> [Action] {
        if isClosed { return [.refuse(number, .unknownSession)] }
        var actions: [Action] = [.accept(number)]
        finish(.clientClosed, &actions)
        return actions
    }

    /// The connection of a request closed, before its answer was written as far as the owner knows.
    public mutating func requestClosed(_ number: Number, now: UInt64) {
        if poll?.number == number {
            poll = nil
            absentSince = now
        }
        if post == number { post = nil }
        guard let lost = unwritten, lost.number == number else { return }
        unwritten = nil
        queue = lost.packets + queue
        queuedBytes = queue.reduce(0) { $0 &+ $1.bytes.count }
    }

    /// The answer to a poll was written whole.
    public mutating func answerWritten(_ number: Number) {
        if unwritten?.number == number { unwritten = nil }
    }
}
