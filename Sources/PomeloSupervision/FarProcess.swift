// SPDX-License-Identifier: MIT
import PomeloLibc
package import PomeloLoop
package import PomeloUV

/// A process of another machine, which the system's ssh runs: what that is told on its way.
///
/// The near end is the ssh. Its input is a named pipe, which it holds open itself: first come the variables, which
/// nobody sees in a list of processes, then one signal a line, from whichever supervisor knows the pipe's name.
///
/// When the ssh is gone, however it went, or the network between, the far end reads the end of its input, and ends what
/// it runs: by itself within 8 s, or else by force.
package struct FarProcess: Sendable {
    private static let script = """
        while IFS= read -r line && [ -n "$line" ]; do export "$line"; done
        cd "$1" || exit 1
        shift
        exec 3<&0
        "$@" </dev/null 3<&- &
        process=$!
        {
            while read -r signal; do kill -s "$signal" "$process"; done
            kill -s CONT "$process"
            kill -s TERM "$process"
            left=80
            while kill -0 "$process" && [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
            kill -s KILL "$process"
        } <&3 >/dev/null 2>&1 &
        keeper=$!
        exec 3<&-
        wait "$process"
        status=$?
        kill "$keeper"
        exit "$status"
        """

    /// What it is run with, beside the variables of its own machine.
    let variables: [(name: String, value: String)]

    /// - Throws: `NetworkError` naming a variable that is more than a line.
    package init(_ variables: [String: String]) throws(NetworkError) {
        self.variables = variables.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        for (name, value) in self.variables where value.utf8.contains(UInt8(ascii: "\n")) {
            throw NetworkError(code: "EINVAL", description: "\(name) is more than a line, and cannot go by ssh")
        }
    }

    /// The near end: `ssh`, then the words of it that are the user's, the host, and the far end for its shell.
    package static func command(_ ssh: [String], _ host: String, in directory: String, _ line: [String])
        -> ChildProcess.Command
    {
        let words = ["/bin/sh", "-c", script, "pomelo", directory] + line
        let options = ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        let alive = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
        let far = "exec " + words.map(quoted).joined(separator: " ")
        // A host that begins as an option does is none.
        return ChildProcess.Command(ssh.first ?? "ssh", ssh.dropFirst() + options + alive + ["--", host, far])
    }

    private static func quoted(_ word: String) -> String { "'" + word.replacing("'", with: "'\\''") + "'" }

    /// Makes the named pipe of a process that is about to start; the descriptor is for its input, and to be closed.
    ///
    /// - Throws: `NetworkError` naming the pipe.
    func begin(_ path: String) throws(NetworkError) -> Int32 {
        try NamedPipe.make(path, holding: variables.map { "\($0.name)=\($0.value)\n" }.joined() + "\n")
    }

    /// Sends a signal by the pipe of a process; one that has ended is ignored.
    static func signal(_ number: Int32, by path: String) {
        let names = [SIGTERM: "TERM", SIGKILL: "KILL", SIGCONT: "CONT"]
        if let name = names[number] { NamedPipe.write("\(name)\n", to: path) }
    }
}
