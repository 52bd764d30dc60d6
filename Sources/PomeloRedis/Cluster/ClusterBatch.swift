// SPDX-License-Identifier: MIT
import PomeloLoop

/// A batch on its way through a cluster: which steps have their reply, and where the others go next.
///
/// The steps of one slot keep their order: they go to one node together, and what it sends elsewhere goes there
/// together.
package struct ClusterBatch {
    /// Steps that go to one node together.
    struct Part {
        let place: SocketAddress
        let asking: Bool
        var indices: [Int]
    }

    private struct Item {
        /// Nil for a step without a key, which any node can answer.
        let slot: KeySlot?
        var isOpen = true
    }

    /// What is known of a step that the node of its slot did not execute.
    private struct Detour {
        /// The node that it was sent on to, once; nil: it goes to the one that has its slot.
        var target: (place: SocketAddress, asking: Bool)?
        var redirections = 0
        /// Why it was not executed the last time.
        var refusal: RedisReply?
    }

    /// More redirections of one step than this are not followed.
    static let maxRedirections = 5

    let steps: [RedisStep]
    private var items: [Item]
    /// By the steps' numbers: nearly all go straight to their node.
    private var detours: [Int: Detour] = [:]
    /// All replies, in the order of the steps.
    private(set) var replies: [RedisReply]
    /// How many have no reply yet.
    private(set) var open: Int
    /// Whether some have a reply, so that the batch is executed in part if it fails now.
    var isBegun: Bool { open < steps.count }

    /// - Throws: `.refused` when the keys of a step are in two slots, or it can be sent to a cluster in no such way.
    init(_ steps: [RedisStep]) throws(RedisError) {
        var plain: String?
        try self.init(steps, plain: &plain)
    }

    /// `plain` is the name of the last command whose only key came first; the next batch's is mostly the same.
    init(_ steps: [RedisStep], plain: inout String?) throws(RedisError) {
        self.steps = steps
        open = steps.count
        replies = Array(repeating: .error("no reply"), count: steps.count)
        items = []
        items.reserveCapacity(steps.count)
        let steps = steps.span
        for index in steps.indices {
            var slot = Self.plainSlot(of: steps[index], &plain)
            if slot == nil { slot = try Self.slot(of: steps[index]) }
            items.append(Item(slot: slot))
        }
    }

    /// The slot of what is sent most, found without lists.
    static func plainSlot(of step: borrowing RedisStep, _ plain: inout String?) -> KeySlot? {
        switch step {
        case .command(let command): return plainSlot(of: command, &plain)
        case .script(_, let keys, _): return keys.count == 1 ? KeySlot(of: keys[0]) : nil
        case .transaction: return nil
        }
    }

    /// The slot of a command whose only key comes first.
    static func plainSlot(of command: borrowing RedisCommand, _ plain: inout String?) -> KeySlot? {
        let arguments = command.arguments.span
        guard command.keyPositions == nil, !arguments.isEmpty, case .text(let key) = arguments[0],
            command.name == plain || CommandKeys.isFirstAlone(command.name)
        else { return nil }
        plain = command.name
        return KeySlot(of: key)
    }

    /// The slot that all keys of a step share.
    package static func slot(of step: RedisStep) throws(RedisError) -> KeySlot? {
        switch step {
        case .command(let command): try check(command)
        case .transaction(let commands): for command in commands { try check(command) }
        case .script: break
        }
        guard let keys = step.keys else {
            throw .refused("\(step.title) is not known here: say which of its arguments are keys (keyPositions)")
        }
        guard let first = keys.first else { return nil }
        let slot = KeySlot(of: first.utf8)
        for key in keys.dropFirst() where KeySlot(of: key.utf8) != slot {
            throw .refused(
                "\(step.title): \(text(first)) and \(text(key)) are in two slots of the cluster; what they have in"
                    + " common can stand in { }")
        }
        return slot
    }

    private static func text(_ key: RedisArgument) -> String {
        "\"\(String(decoding: key.utf8.prefix(128), as: UTF8.self))\""
    }

    private static let ofOneNode: Set = [
        "SCAN", "KEYS", "RANDOMKEY", "DBSIZE", "FLUSHALL", "FLUSHDB", "SWAPDB", "SAVE", "BGSAVE", "BGREWRITEAOF",
        "SHUTDOWN", "WAIT",
    ]
    private static let ofOneConnection: Set = [
        "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "SELECT", "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE",
        "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE", "MONITOR", "ASKING", "READONLY", "READWRITE", "RESET", "QUIT",
    ]

    private static func check(_ command: RedisCommand) throws(RedisError) {
        let name = command.name.uppercased()
        if ofOneNode.contains(name) { throw .refused("\(name) reaches one node only: send it to each of `nodes`") }
        if ofOneConnection.contains(name) {
            throw .refused("\(name) changes one connection: a cluster has several")
        }
    }

    // MARK: where to

    /// What is to be sent now, by node; `homeless` have no node at the moment.
    func parts(_ map: SlotMap, anyPlace: @autoclosure () -> SocketAddress?) -> (parts: [Part], homeless: [Int]) {
        var parts: [Part] = []
        var homeless: [Int] = []
        /// The part of each primary, by its number in the map.
        var known = [Int](repeating: -1, count: map.places.count)
        // Commands without a key go where others of the batch go: TIME is meant for the clock of the keys beside it.
        let company = items.lazy.compactMap { $0.slot.flatMap { map[$0] } }.first ?? anyPlace()
        for index in items.indices where items[index].isOpen {
            let owner = owner(of: index, map)
            if let owner, known[owner] >= 0 {
                parts[known[owner]].indices.append(index)
                continue
            }
            let (place, asking) = place(of: index, map, company)
            guard let place else {
                homeless.append(index)
                continue
            }
            if let at = parts.firstIndex(where: { $0.place == place && $0.asking == asking }) {
                parts[at].indices.append(index)
                if let owner { known[owner] = at }
            } else {
                if let owner { known[owner] = parts.count }
                parts.append(Part(place: place, asking: asking, indices: [index]))
            }
        }
        return (parts, homeless)
    }

    /// The number of the primary that has the slot of a step, if it goes there.
    private func owner(of index: Int, _ map: SlotMap) -> Int? {
        if !detours.isEmpty, detours[index]?.target != nil { return nil }
        return items[index].slot.flatMap { map.index(of: $0) }
    }

    private func place(of index: Int, _ map: SlotMap, _ company: SocketAddress?) -> (SocketAddress?, Bool) {
        if let target = detours[index]?.target { return (target.place, target.asking) }
        return (items[index].slot.map { map[$0] } ?? company, false)
    }

    // MARK: what came back

    /// What the replies of one part ask for.
    struct Turn {
        var moved: [(KeySlot, SocketAddress)] = []
        /// Some must wait a moment before they are sent again.
        var pauses = false
    }

    /// Takes the replies of a part, in its order.
    mutating func take(_ replies: [RedisReply], of part: Part) -> Turn {
        var turn = Turn()
        let replies = replies.span
        for at in part.indices.indices {
            let index = part.indices[at]
            guard replies[at].isError, let text = replies[at].errorText, let redirection = Redirection(text),
                Self.isOfNode(redirection, text, items[index].slot, runsCode: steps[index].runsCode)
            else {
                settle(index, replies[at])
                continue
            }
            var detour = detours[index] ?? Detour()
            guard detour.redirections < Self.maxRedirections else {
                settle(index, replies[at])
                continue
            }
            detour.target = nil
            switch redirection {
            case .moved(let slot, let said):
                let place = Redirection.resolved(said, saidBy: part.place)
                detour.redirections += 1
                detour.refusal = replies[at]
                detour.target = (place, asking: false)
                if turn.moved.last?.0 != slot { turn.moved.append((slot, place)) }
            case .ask(_, let said):
                detour.redirections += 1
                detour.refusal = replies[at]
                detour.target = (Redirection.resolved(said, saidBy: part.place), asking: true)
            case .tryAgain, .down:
                detour.refusal = replies[at]
                turn.pauses = true
            }
            detours[index] = detour
        }
        return turn
    }

    /// What a node says of the keys when they, or itself, cannot be had; an error of code may begin with the same word.
    private static let wordsOfNodes = [
        "TRYAGAIN Multiple keys", "CLUSTERDOWN Hash slot not served", "CLUSTERDOWN The cluster is down",
        "LOADING Redis is loading", "MASTERDOWN Link with MASTER",
    ]

    /// Whether a step was not executed, and must be sent again; false for the own error of what runs code.
    static func isOfNode(_ reply: RedisReply, _ slot: KeySlot, runsCode: @autoclosure () -> Bool) -> Bool {
        guard reply.isError, let text = reply.errorText, let redirection = Redirection(text) else { return false }
        return isOfNode(redirection, text, slot, runsCode: runsCode())
    }

    private static func isOfNode(
        _ redirection: Redirection, _ text: String, _ slot: KeySlot?, runsCode: @autoclosure () -> Bool
    ) -> Bool {
        switch redirection {
        case .moved(let said, _), .ask(let said, _): slot == said
        case .tryAgain, .down: !runsCode() || wordsOfNodes.contains { text.hasPrefix($0) }
        }
    }

    /// Sends a part that did not arrive to whoever has its slots by then.
    mutating func retry(_ indices: [Int]) {
        for index in indices { detours[index]?.target = nil }
    }

    /// Gives what is left the words with which it was refused the last time; returns false when some has none.
    mutating func giveUp() -> Bool {
        let refusals = items.indices.filter { items[$0].isOpen }.map { ($0, detours[$0]?.refusal) }
        guard refusals.allSatisfy({ $0.1 != nil }) else { return false }
        for (index, refusal) in refusals { settle(index, refusal ?? .null) }
        return true
    }

    private mutating func settle(_ index: Int, _ reply: RedisReply) {
        replies[index] = reply
        items[index].isOpen = false
        open -= 1
    }
}
