// SPDX-License-Identifier: MIT
public import PomeloLoop

extension ChildProcess {
    /// Runs a command to its end; returns how it ended and what it wrote.
    ///
    /// - Throws: `NetworkError` when it cannot be started.
    public static func run(_ command: Command) async throws(NetworkError) -> (ending: Ending, lines: [String]) {
        let ended = FirstOutcome<Ending>()
        let collected = CollectedLines()
        let child = try ChildProcess(command, onLine: { collected.lines.append($0) }, onExit: { ended.end(with: $0) })
        let ending = await ended.wait()
        _ = child.pid
        return (ending, collected.lines)
    }
}

@Loop private final class CollectedLines {
    var lines: [String] = []
}
