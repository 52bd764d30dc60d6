// SPDX-License-Identifier: MIT
//
// PomeloCommand: the command line that every server program has.
// Reading order: ServerProgram, ServeCommand, ServerLog; StartCommand, Start, StartPlan, ServerPlans,
// Launch, Terminal, Daemon, StandbyCommand,
// DevelopmentRedis; OperatorCommands, OperatorOrder, ConsoleCommand, ConsoleLine,
// ListCommand, ServersCommand, HealthCommand, SyncCommand, PluginsCommand,
// ClusterQuestion; DoctorCommand, Finding, RedisExamination; RedisSettings.
import ArgumentParser
public import Pomelo
public import PomeloRedis
import PomeloSupervision

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
    /// The program's own version, as `list` shows it; empty unless it says one.
    static var version: String { get }
    /// Makes the application of one server: plugins, handlers, routes.
    @Loop static func setUp(_ app: Application, _ redis: RedisClient) throws
}

extension ServerProgram {
    /// None.
    public static var version: String { "" }

    /// Runs the command line; never returns with an error but exits.
    public static func run() async {
        let words = VerbFirst.ordered(Array(CommandLine.arguments.dropFirst()), ProgramCommand<Self>.verbs)
        // On the loop from here on: the first job on the runtime's pool starts a thread that wakes each second.
        await Loop.spawn { await ProgramCommand<Self>.main(words) }.value
    }
}

/// Options may stand before the verb: `Chat --config other list` is `Chat list --config other`.
///
/// The parser takes a word behind options for an argument of the verb that need not be named.
enum VerbFirst {
    private static let valued: Set = ["--env", "-e", "--config", "--id", "--log-file"]

    static func ordered(_ words: [String], _ verbs: [String]) -> [String] {
        var index = 0
        while index < words.count, words[index].hasPrefix("-") { index += valued.contains(words[index]) ? 2 : 1 }
        guard index < words.count, verbs.contains(words[index]) else { return words }
        return [words[index]] + words[..<index] + words[(index + 1)...]
    }
}

struct ProgramCommand<Program: ServerProgram>: AsyncParsableCommand {
    /// What may stand in the first place.
    static var verbs: [String] { configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"] }

    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "\(Program.self)", abstract: "Runs one server of \(Program.folder)/servers.json.",
            usage: """
                \(ServeCommand<Program>.usage)
                \(StartCommand<Program>.usage)
                \(Program.self) masterha [--env <env>] [--config <folder>]
                \(Program.self) stop | restart | resume | kill [<id> ...] [--user <name>] [--env <env>]
                \(Program.self) add <key=value ...> [--user <name>] [--env <env>] [--config <folder>]
                \(Program.self) console [--command <line>] [--use <id>] [--user <name>]
                \(Program.self) password
                \(Program.self) list | servers | doctor | redis [--env <env>] [--config <folder>]
                \(Program.self) health --id <id> [--env <env>] [--config <folder>]
                \(SyncCommand<Program>.usage)
                \(PluginsCommand<Program>.usage)
                """,
            subcommands: [
                ServeCommand<Program>.self, StartCommand<Program>.self, StandbyCommand<Program>.self,
                StopCommand<Program>.self, RestartCommand<Program>.self, ResumeCommand<Program>.self,
                AddCommand<Program>.self, KillCommand<Program>.self, ConsoleCommand<Program>.self,
                ListCommand<Program>.self, ServersCommand<Program>.self, DoctorCommand<Program>.self,
                PasswordCommand.self, RedisSubcommand<Program>.self, HealthCommand<Program>.self,
                SyncCommand<Program>.self, PluginsCommand<Program>.self,
            ],
            defaultSubcommand: ServeCommand<Program>.self)
    }
}

/// Which configuration counts; shared by all subcommands.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: "The section of the configuration files that counts; else POMELO_ENV, else development.")
    var env: String?

    @Option(
        help: ArgumentHelp(
            "The folder of the configuration files; else POMELO_CONFIG, else the program's own.", valueName: "folder"))
    var config: String?

    init() {}

    func load(
        _ folder: String, env argument: String? = nil, config path: String? = nil,
        variables: EnvironmentVariables = .ofProcess
    ) throws -> Configuration {
        return try Configuration(
            folder: config ?? path ?? variables.config ?? folder,
            env: env ?? argument ?? variables.env ?? "development", variables: variables)
    }

    /// The same, and which server is meant: `--id`, else POMELO_ID.
    func load(_ folder: String, of id: String?) throws -> (Configuration, ServerID) {
        var arguments = ProcessArguments()
        arguments.id = (id ?? EnvironmentVariables.ofProcess.id).map { ServerID($0) }
        return try load(folder).applying(arguments)
    }
}

/// Errors as one line and exit code 1.
func reported(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let code as ExitCode {
        // What was wrong has been said.
        throw code
    } catch {
        Console.error("error: \(Files.reason(error))")
        throw ExitCode(1)
    }
}

extension Console {
    /// Writes a value as one line, for programs.
    static func json(_ value: JSON) { line(String(decoding: value.encoded(), as: UTF8.self)) }
}
