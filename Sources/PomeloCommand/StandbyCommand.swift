// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo

/// `Chat masterha`: the masters of `masterha.json` that are of this machine, in the background; one of all leads.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo masterha`, and pomelo-masterha-plugin 0.0.4, which needed ZooKeeper.
struct StandbyCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "masterha",
            abstract: "Starts the masters that stand by: should the leading one be gone, another one leads in 12 s.")
    }

    @OptionGroup var start: StartCommand<Program>

    func run() async throws {
        try await reported {
            let configuration = try start.options.load(Program.folder)
            let standbys = configuration.standbys.filter(StartPlan.isHere)
            guard !standbys.isEmpty else {
                let file = configuration.path("masterha")
                throw PomeloError(.configuration, "\(file) names no master of this machine that stands by")
            }
            for standby in standbys { try await Daemon.launch(start, standby: standby.id) }
        }
    }
}
