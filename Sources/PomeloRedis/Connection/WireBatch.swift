// SPDX-License-Identifier: MIT

/// Steps as one connection sends them, and how their replies are put together again.
///
/// ```
/// command       [ASKING] command                          its reply
/// script        [ASKING] EVALSHA, or EVAL with the text   its reply
/// transaction   [ASKING] MULTI commands EXEC              an array, or the error that kept it from being executed
/// ```
struct WireBatch {
    /// The commands of all steps, in order.
    private(set) var commands: [RedisCommand] = []
    /// How many commands each step has.
    private(set) var lengths: [Int] = []
    /// Scripts that are sent with their text.
    private(set) var given: [RedisScript] = []
    private let steps: [RedisStep]
    /// Which of the steps are sent; nil: all.
    private let indices: [Int]?

    /// Of a script that the server knows, `digest` gives the digest; the text of any other is sent.
    ///
    /// With `asking` a node of a cluster takes what belongs to a slot that is still on its way to it.
    init(
        _ steps: [RedisStep], at indices: [Int]? = nil, asking: Bool = false, digest: (RedisScript) -> String?
    ) {
        self.steps = steps
        self.indices = indices
        let count = indices?.count ?? steps.count
        commands.reserveCapacity(count)
        lengths.reserveCapacity(count)
        let steps = steps.span
        for number in 0..<count {
            let before = commands.count
            if asking { commands.append(RedisCommand("ASKING")) }
            switch steps[indices?[number] ?? number] {
            case .command(let command):
                commands.append(command)
            case .script(let script, let keys, let args):
                let known = digest(script)
                if known == nil { given.append(script) }
                var arguments: [RedisArgument] = []
                arguments.reserveCapacity(2 + keys.count + args.count)
                arguments.append(.text(known ?? script.source))
                arguments.append(.number(keys.count))
                for key in keys { arguments.append(.text(key)) }
                arguments += args
                commands.append(RedisCommand(known == nil ? "EVAL" : "EVALSHA", arguments: arguments))
            case .transaction(let inner):
                commands += [RedisCommand("MULTI")] + inner + [RedisCommand("EXEC")]
            }
            lengths.append(commands.count - before)
        }
    }

    /// How many steps from `start` on fit into a bound together; at least one, whose turn comes when it fits.
    func steps(from start: Int, at command: Int, within bound: CommandLoad) -> Int {
        var load = CommandLoad(count: 0, bytes: 0)
        var at = command
        var many = 0
        while start + many < lengths.count {
            let end = at + lengths[start + many]
            load = load + CommandLoad(commands[at..<end])
            guard many == 0 || load.fits(in: bound) else { break }
            at = end
            many += 1
        }
        return many
    }

    /// One reply a step, of all the commands' replies.
    func replies(_ raw: [RedisReply]) -> [RedisReply] {
        if raw.count == lengths.count, !raw.hasErrors { return raw }
        var at = 0
        return lengths.enumerated().map { number, length in
            let step = step(number)
            let own = raw[at..<(at + length)]
            at += length
            guard let last = own.last else { return .error("no reply") }
            if case .transaction = step { return Self.outcome(of: own, last) }
            return Self.named(step, last)
        }
    }

    /// What is sent at this place of the batch.
    func step(_ number: Int) -> RedisStep { steps[indices?[number] ?? number] }

    /// An aborted transaction says in EXEC's place only that it was; the reason stands before.
    private static func outcome(of replies: ArraySlice<RedisReply>, _ last: RedisReply) -> RedisReply {
        guard last.errorText != nil else { return last }
        return replies.first { $0.errorText != nil } ?? last
    }

    private static func named(_ step: RedisStep, _ reply: RedisReply) -> RedisReply {
        guard case .script(let script, _, _) = step, let text = reply.errorText, reply.errorCode != "NOSCRIPT",
            Redirection(text) == nil
        else { return reply }
        return .error("\(text) (\(script.place(of: text)))")
    }
}

extension [RedisReply] {
    /// Looked for without counting references to what is no error.
    var hasErrors: Bool {
        let replies = span
        return replies.indices.contains { replies[$0].isError }
    }
}
