// SPDX-License-Identifier: MIT
import Foundation
import Logging
import PomeloLoop
import PomeloUV

extension Application {
    /// Runs the server until SIGTERM or SIGINT, or until `stop` is called, then stops it in order.
    ///
    /// Writes `up <id>` to standard output when it serves. A second signal ends the process at once.
    ///
    /// - Throws: what `start` throws; everything is stopped then.
    public func run() async throws {
        let descriptors = Descriptors.raiseLimit()
        if descriptors < 1024 {
            log.notice(
                "few descriptors: fewer clients than usual",
                metadata: ["descriptors": "\(descriptors)", "clients": "\(network.connectionLimit ?? 0)"])
        }
        var isSignalled = false
        let signals = try [SIGTERM, SIGINT].map { number in
            try SignalWatcher(number) {
                // One that comes while it stops because somebody has said so is the first, and cuts nothing short.
                if isSignalled { exit(130) }
                isSignalled = true
                self.requestStop()
            }
        }
        let log = self.log
        let watchdog = Watchdog { stall in
            log.warning(
                "the loop does not turn",
                metadata: [
                    "ms": "\(stall.milliseconds)",
                    "at": .array(stall.backtrace.split(separator: "\n").map { "\($0)" }),
                ])
        }
        defer {
            watchdog.stop()
            for signal in signals { signal.stop() }
        }
        do {
            try await start()
        } catch {
            // Stopped by a signal while it started: that is no error.
            if stopRequested && failure == nil { return }
            throw error
        }
        Console.line("up \(serverID)")
        await stopped()
        await handOver()
        if let failure { throw failure }
    }

    /// What clients are told last leaves at the end of a turn, for 256 of them in each: only then may the process end.
    private func handOver() async {
        for _ in 0..<256 {
            await withCheckedContinuation { turn in EventLoop.shared.inNextTurn { turn.resume() } }
        }
    }
}

/// Lines for the one who started the process, while anybody reads them; logs go elsewhere.
public enum Console {
    /// Writes a line to standard output.
    public static func line(_ text: String) { write(text, to: .standardOutput) }
    /// Writes a line to standard error.
    public static func error(_ text: String) { write(text, to: .standardError) }

    private static func write(_ text: String, to handle: FileHandle) {
        do {
            try handle.write(contentsOf: Data((text + "\n").utf8))
        } catch {
            // There is nobody to tell, and a reader that is gone is no reason to end.
        }
    }
}
