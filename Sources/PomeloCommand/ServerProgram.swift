// SPDX-License-Identifier: MIT
//
// PomeloCommand: the command line that every server program has.
// Reading order: ServerProgram, ServeCommand, ListCommands.
import ArgumentParser
public import Pomelo
public import PomeloRedis

#if !CommandLine
    #error("PomeloCommand needs the trait CommandLine of pomelo-swift, which is on by default")
#endif

/// A program whose processes are the servers of one `servers.json`.
///
/// ```swift
/// @main struct Chat: ServerProgram {
///     static let folder = "config"
///     static func setUp(_ app: Application, _ redis: RedisClient) throws { … }
///     static func main() async { await run() }
/// }
/// ```
public protocol ServerProgram: Sendable {
    /// The configuration folder, unless `--config` names another.
    static var folder: String { get }
    /// Makes the application of one server: plugins, handlers, routes.
    @Loop static func setUp(_ app: Application, _ redis: RedisClient) throws
}

extension ServerProgram {
    /// Runs the command line; never returns with an error but exits.
    public static func run() async {
        await ProgramCommand<Self>.main()
    }
}

struct ProgramCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "\(Program.self)", abstract: "Runs one server of \(Program.folder)/servers.json.",
            subcommands: [
                ServeCommand<Program>.self, ListCommand<Program>.self, RedisSubcommand<Program>.self,
                HealthCommand<Program>.self,
            ],
            defaultSubcommand: ServeCommand<Program>.self)
    }
}

/// Which configuration counts; shared by all subcommands.
struct ConfigurationOptions: ParsableArguments {
    @Option(help: "The section of the configuration files that counts.")
    var env: String?

    @Option(help: "The folder of the configuration files.")
    var config: String?

    init() {}

    func load(_ folder: String, env argument: String? = nil, config path: String? = nil) throws -> Configuration {
        try Configuration(folder: config ?? path ?? folder, env: env ?? argument ?? "development")
    }
}
