// SPDX-License-Identifier: MIT
import ArgumentParser
import Foundation
import Pomelo
import PomeloOperations
import PomeloSupervision
import PomeloUV

/// Who gives a command; shared by all that the master carries out.
struct OperatorOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "The operator's name in adminUser.json; else POMELO_ADMIN_USER.")
    var user: String?

    init() {}

    /// The password is asked for at the terminal; where there is none, as in scripts, POMELO_ADMIN_PASSWORD has it.
    func login() throws -> (user: String, password: @Sendable () throws -> String) {
        let variables = ProcessInfo.processInfo.environment
        let user = user ?? variables["POMELO_ADMIN_USER"] ?? "unnamed"
        return (
            user,
            {
                if let password = variables["POMELO_ADMIN_PASSWORD"] { return password }
                if let password = ThisProcess.askedPassword("Password of \(user): ") { return password }
                throw PomeloError(
                    .configuration, "a password is needed, at a terminal or in POMELO_ADMIN_PASSWORD")
            }
        )
    }
}

/// `Chat stop`: ends servers, which stay down; without an id all of them, and the master.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo stop`.
struct StopCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "stop", abstract: "Ends servers that the master keeps, or without an id all of them.")
    }

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var login: OperatorOptions
    @Argument(help: "Ids of servers.") var ids: [String] = []

    func run() async throws {
        try await order(Program.self, options, login, .stop(ids.map { ServerID($0) }), did: "stopped")
    }
}

/// `Chat restart`: ends servers and starts them again, one after the other.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo restart`.
struct RestartCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "restart",
            abstract: "Restarts servers one after the other: those named, or all that run, of a type or of any.")
    }

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var login: OperatorOptions
    @Option(name: .shortAndLong, help: "All servers of this type.") var type: String?
    @Argument(help: "Ids of servers.") var ids: [String] = []

    func run() async throws {
        let chosen = ids.map { ServerID($0) }
        var command = OperatorCommand.restart(chosen)
        if let type {
            try await reported {
                let all = try options.load(Program.folder).servers(ServerType(type)).map(\.id)
                guard !all.isEmpty else { throw unknown(type) }
                guard ids.isEmpty else { throw PomeloError(.configuration, "either --type or ids") }
                command = .restartRunning(all)
            }
        } else if chosen.isEmpty {
            command = .restartRunning([])
        }
        try await order(Program.self, options, login, command, did: "restarted")
    }

    private func unknown(_ type: String) -> PomeloError {
        PomeloError(.configuration, "servers.json has no server of the type \"\(type.forLog)\"")
    }
}

/// `Chat resume`: starts servers again that were stopped.
struct ResumeCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "resume", abstract: "Starts servers again that were stopped, or are left down.")
    }

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var login: OperatorOptions
    @Argument(help: "Ids of servers.") var ids: [String]

    func run() async throws {
        try await order(Program.self, options, login, .start(ids.map { ServerID($0) }), did: "started")
    }
}

/// `Chat add`: starts servers that `servers.json` does not name.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo add`, which said so before they had started.
struct AddCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "add", abstract: "Starts a server that no file names, or several with clusterCount=….",
            discussion:
                "add serverType=chat id=chat-3 host=127.0.0.1 port=4003; a frontend has frontend=true clientPort=…")
    }

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var login: OperatorOptions
    @Argument(help: ArgumentHelp("Fields of the server's record.", valueName: "key=value")) var words: [String]

    func run() async throws { try await order(Program.self, options, login, .add(words), did: "started") }
}

/// `Chat kill`: ends servers at once, which stay down; without an id all of them, and the master.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo kill`; with `-f` that ended whatever was called node.
struct KillCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "kill", abstract: "Ends servers at once, without a word to their clients, or all of them.")
    }

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var login: OperatorOptions
    @Flag(
        name: .shortAndLong,
        help: "Asks no master: all that the folder of logs knows of, and is still the same process.")
    var force = false
    @Option(help: "The folder of logs of start, for --force.") var logs = "logs"
    @Argument(help: "Ids of servers.") var ids: [String] = []

    func run() async throws {
        guard force else {
            return try await order(Program.self, options, login, .kill(ids.map { ServerID($0) }), did: "killed")
        }
        try await reported {
            guard ids.isEmpty else { throw PomeloError(.configuration, "--force ends all servers, and takes no id") }
            let killed = await Supervisor.killAll(in: logs)
            for name in killed { Console.line("\(name) killed") }
            if killed.isEmpty { throw PomeloError(.notRunning, "nothing runs that \(logs)/processes.json knows of") }
        }
    }
}

/// `Chat password`: what stands in adminUser.json for a password.
struct PasswordCommand: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "password",
            abstract: "Prints what adminUser.json has for a password, which is asked for, or in POMELO_ADMIN_PASSWORD.")
    }

    func run() async throws {
        try await reported {
            let variable = ProcessInfo.processInfo.environment["POMELO_ADMIN_PASSWORD"]
            guard let password = variable ?? ThisProcess.askedPassword("New password: "), password.utf8.count >= 8
            else { throw PomeloError(.configuration, "a password of at least 8 bytes is needed") }
            let salt = await RandomSource().bytes(PasswordHash.saltBytes)
            Console.line(try PasswordHash(of: password, salt: salt).text)
        }
    }
}

/// Gives a command to the master, and says what came of it.
private func order<Program: ServerProgram>(
    _: Program.Type, _ options: ConfigurationOptions, _ login: OperatorOptions, _ command: OperatorCommand, did: String
) async throws {
    try await reported {
        let configuration = try options.load(Program.folder)
        let (user, password) = try login.login()
        let answer = try await OperatorOrder(configuration, user, password).give(command)
        if answer["all"] != nil { return Console.line("all servers end, and the master") }
        for name in answer["done"]?.array ?? [] { Console.line("\(name.string ?? "") \(did)") }
        let failed = answer["failed"]?.object ?? [:]
        for (name, reason) in failed { Console.error("error: \(name): \(reason.string ?? "")") }
        if !failed.isEmpty { throw ExitCode(1) }
    }
}
