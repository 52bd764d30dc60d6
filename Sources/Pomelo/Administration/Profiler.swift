// SPDX-License-Identifier: MIT

/// Says where the event loop of its server spends its time, as `profiler` of the administration.
///
/// ```
/// {"seconds": 5}   ──►   {"samples": 495, "stacks": ["main;…;Dispatcher.run;ChatHandler.send 212", …]}
/// ```
///
/// From 1 to 60 seconds, 5 unless it is said; the most frequent stacks, as far as a message holds them. What
/// a flame graph is drawn from is each of `stacks` as a line.
///
/// - Source: pomelo-admin 1.0.1, modules/profiler.js, which needed an addon of V8.
@Loop public final class Profiler: AdminModule {
    /// `profiler`.
    public let moduleID = "profiler"
    private static let most = 60
    private static let mostBytes = 262_144
    private static let patience = Duration.seconds(10)
    private var isBusy = false

    /// Looks at the loop of this process.
    public init() {}

    /// Answers as above, when the time is over.
    ///
    /// - Throws: `Fault` 400 when it is not so many seconds; 409 while it looks for somebody else.
    public func monitorHandler(_ message: JSON) async throws -> JSON {
        let seconds = try Self.seconds(message)
        guard !isBusy else { throw Fault(409, "the profiler is at work for somebody else") }
        isBusy = true
        defer { isBusy = false }
        let profile = try await LoopProfile.take(for: .seconds(seconds))
        var bytes = 0
        let stacks = profile.stacks.prefix {
            bytes += $0.utf8.count
            return bytes <= Self.mostBytes
        }
        return ["samples": JSON(profile.samples), "stacks": .array(stacks.map { .string($0) })]
    }

    /// Waits for servers as long as they look.
    public func clientHandler(_ message: JSON, for server: ServerID?, _ agent: AdminAgent) async throws -> JSON {
        let time = Duration.seconds(try Self.seconds(message))
        return try await agent.ask(server, message, within: time + Self.patience)
    }

    private static func seconds(_ message: JSON) throws(Fault) -> Int {
        guard let wanted = message["seconds"] else { return 5 }
        guard let seconds = wanted.int, (1...Int64(most)).contains(seconds) else {
            throw Fault(400, "seconds is a whole number from 1 to \(most)")
        }
        return Int(seconds)
    }
}
