// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo
import PomeloSupervision
import PomeloUV

/// `Chat start`: the master, and with it every server, until it is told to stop.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo start`.
struct StartCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "start",
            abstract: "Runs all servers, and starts again what ends, until Ctrl-C or SIGTERM.",
            usage: usage,
            discussion: "The servers are this command's own: without -D they end with it, however it ends.")
    }

    static var usage: String {
        "\(Program.self) start [--env <env>] [--config <folder>] [--type <type>] [--id <id>] [--redis <kind>] …"
    }

    @OptionGroup var options: ConfigurationOptions

    @Option(name: .shortAndLong, help: "Only servers of this type, or all; the master runs if it is one of them.")
    var type: String?

    @Option(name: .shortAndLong, help: "Only the server of this id.")
    var id: String?

    @Option(name: .shortAndLong, help: "The folder to run in.")
    var directory: String?

    @Flag(
        name: [.customShort("D"), .long], help: "Comes back when all serve; the servers outlive a master that is gone.")
    var daemon = false

    @Flag(help: .hidden)
    var inBackground = false

    /// The id of a master that stands by; it keeps what the leading one has kept.
    @Option(help: .hidden)
    var standby: String?

    @Option(help: "The folder of <id>.log, what each server writes, and <id>.pid.")
    var logs = "logs"

    @Flag(help: "Only servers of this machine: those of others are started there.")
    var here = false

    @Option(help: "How ssh is called, which starts servers of other machines, with words between spaces.")
    var ssh = "ssh"

    var sshWords: [String] { ssh.split(separator: " ").map(String.init) }

    @Flag(inversion: .prefixedNo, help: "Whether what ends by itself is started again, up to three times in a row.")
    var restart = true

    @Option(help: "A Redis for development is run too: standalone (unless one answers already), sentinel or cluster.")
    var redis: DevelopmentRedis.Kind?

    @Option(
        help: ArgumentHelp(
            "Another program is run too, by the shell; it writes \"up <name>\", and behind it its address.",
            valueName: "name=command"))
    var companion: [String] = []

    func run() async throws {
        // Of whoever starts it: servers are given what they need.
        ThisProcess.forgetVariable("POMELO_ADMIN_PASSWORD")
        if daemon { return try await reported { try await Daemon.launch(self, standby: standby.map { ServerID($0) }) } }
        await ProgramProcess.prepare(processExecutor: true)
        let start = await Start<Program>(self)
        await start.run()
    }

    /// The programs that are no servers.
    func companions(_ restarts: RestartRule) throws -> [ProcessPlan] {
        try companion.map { text in
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, !parts[0].contains("/") else {
                throw PomeloError(.configuration, "--companion takes name=command, and not \"\(text.forLog)\"")
            }
            let name = parts[0]
            let command = ChildProcess.Command("/bin/sh", ["-c", "exec \(parts[1])"])
            return ProcessPlan(name, .page, command, restarts: restarts) {
                $0 == "up \(name)" || $0.hasPrefix("up \(name) ")
            }
        }
    }
}

extension DevelopmentRedis.Kind: ExpressibleByArgument {}
