// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo
import PomeloCluster

/// `Chat health --id …`: whether a server is up and well, for health checks of containers.
///
/// The registry says where it is, and it says itself how it is; one that does not answer is as the registry has it. A
/// degraded server heals by itself, so failing says that it is not well, and not that it should be started again.
struct HealthCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "health",
            abstract: "Succeeds when a server is up and, asked itself, ready; without an answer the registry counts.")
    }

    /// Health checks of containers end a command after a few seconds.
    private static var patience: Duration { .seconds(1) }

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "The server's id in servers.json; POMELO_ID when it is not given.")
    var id: String?

    func run() async throws {
        try await reported { try await check() }
    }

    @Loop private func check() async throws {
        let (configuration, id) = try options.load(Program.folder, of: id)
        let question = try ClusterQuestion("health", configuration)
        guard let server = try await question.registered().first(where: { $0.id == id }) else {
            throw PomeloError(.notRunning, "\(id) is not registered")
        }
        guard server.state == .up else { throw PomeloError(.notRunning, "\(id) is \(server.state.rawValue)") }
        let health: ClusterHealth
        do {
            health = try await question.of(server) { transport in
                ClusterHealth(try await transport.ask(id, "health", within: Self.patience))
            }
        } catch {
            return Console.line("\(id) is up in the registry, but did not answer: \(error)")
        }
        guard health.isReady else { throw PomeloError(.notRunning, "\(id) is up, but \(health)") }
        Console.line("\(id) is up and ready")
    }
}
