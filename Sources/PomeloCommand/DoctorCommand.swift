// SPDX-License-Identifier: MIT
import ArgumentParser
import Foundation
import Pomelo
import PomeloCluster
import PomeloOperations
import PomeloUV

/// `Chat doctor`: whether what servers need is there, before they are started or while they run.
struct DoctorCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "doctor",
            abstract: "Looks at configuration, ports, descriptors, secret and Redis; a line for each.",
            discussion: "Ends with 1 when servers could not run: a line says failure.")
    }

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Prints a JSON array instead.")
    var json = false

    func run() async throws {
        try await reported {
            let findings = await examine()
            if json { Console.json(.array(findings.map(\.json))) }
            for finding in json ? [] : findings { Console.line(finding.line) }
            if findings.contains(where: { $0.grade == .failure }) { throw ExitCode(1) }
        }
    }

    @Loop private func examine() async -> [Finding] {
        let configuration: Configuration
        do {
            configuration = try options.load(Program.folder)
        } catch {
            return [.failure("configuration", "\(error)")]
        }
        var findings = [
            Finding.ok("configuration", "\(configuration.servers.count) servers for \(configuration.env)"),
            descriptors(), secret(configuration), operators(configuration),
        ]
        findings += await RedisExamination(configuration).findings()
        findings += await ports(configuration)
        return findings
    }

    @Loop private func descriptors() -> Finding {
        let limit = Descriptors.raiseLimit()
        let text = "\(limit), of which clients may have \(Descriptors.connectionLimit)"
        return limit < 4096 ? .warning("descriptors", text) : .ok("descriptors", text)
    }

    private func secret(_ configuration: Configuration) -> Finding {
        do {
            guard try ServerEnvironment().secret.isEmpty else { return .ok("secret", "POMELO_SECRET is set") }
        } catch {
            return .failure("environment", "\(error)")
        }
        let reached = configuration.servers.first { !SocketAddress(host: $0.host, port: $0.port).isLoopback }
        if configuration.env != "development" {
            return .failure("secret", "POMELO_SECRET is required outside development")
        }
        guard let reached else { return .ok("secret", "none is needed: all servers are on the loopback interface") }
        return .failure("secret", "POMELO_SECRET is required: \(reached.id) is at \(reached.host)")
    }

    private func operators(_ configuration: Configuration) -> Finding {
        do {
            let operators = try Operators(configuration)
            if operators.areUnnamed { return .ok("operators", "no adminUser.json: who knows the secret may do all") }
            if operators.count > 0 { return .ok("operators", "\(operators.count) in adminUser.json") }
            return .warning(
                "operators", "no adminUser.json for \(configuration.env): nobody may stop or restart servers")
        } catch {
            return .failure("operators", "\(error)")
        }
    }

    /// Whether each server of this machine could listen, or is there already.
    @Loop private func ports(_ configuration: Configuration) async -> [Finding] {
        let running: Set<ServerID>
        do {
            running = Set(try await ClusterQuestion("doctor", configuration).registered().map(\.id))
        } catch {
            // That Redis is away was said.
            running = []
        }
        var findings: [Finding] = []
        for server in configuration.servers where StartPlan.isHere(server) {
            if running.contains(server.id) {
                findings.append(.ok("\(server.id)", "runs"))
            } else {
                findings.append(await room(for: server))
            }
        }
        return findings
    }

    @Loop private func room(for server: ServerRecord) async -> Finding {
        let network = UVNetwork()
        var places = [(server.host, server.port)]
        if server.isFrontend { places += server.clients.map { (server.bind ?? server.host, $0.port) } }
        for (host, port) in places where port > 0 {
            do throws(NetworkError) {
                try await network.listen(on: SocketAddress(host: host, port: port)) { $0.close() }.close()
            } catch {
                return .failure("\(server.id)", "cannot listen on \(host):\(port): \(error.reason)")
            }
        }
        let free = places.filter { $0.1 > 0 }.map { "\($0.0):\($0.1)" }.joined(separator: ", ")
        return .ok("\(server.id)", "free: \(free)")
    }
}
