// SPDX-License-Identifier: MIT
import ArgumentParser
import Foundation
import Pomelo
import PomeloOperations
import PomeloUV

/// `Chat console`: looks at servers and changes little of them, by lines that are typed, or by one.
///
/// - Source: pomelo-cli 0.4, without `exec` and `run`.
struct ConsoleCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "console", abstract: "Shows and changes what running servers have.",
            discussion: ConsoleLine.manual)
    }

    @OptionGroup var options: ConfigurationOptions
    @OptionGroup var login: OperatorOptions
    @Option(name: .shortAndLong, help: "One line, instead of those that are typed.") var command: String?
    @Option(help: "The server that lines are for; all when it is not given.") var use: String?

    func run() async throws {
        try await reported {
            let (user, password) = try login.login()
            let order = await OperatorOrder(try options.load(Program.folder), user, password)
            let talk = await ConsoleTalk(order, user, use)
            guard let command else { return await talk.go() }
            guard try await talk.obey(command) else { throw ExitCode(1) }
        }
    }
}

/// One talk with the master of a cluster.
@Loop private final class ConsoleTalk {
    private let order: OperatorOrder
    private let user: String
    private var server: String

    init(_ order: OperatorOrder, _ user: String, _ server: String?) {
        self.order = order
        self.user = user
        self.server = server ?? "all"
    }

    /// Until the end of the input, or `quit`; what goes wrong ends the line, and not the talk.
    func go() async {
        while true {
            FileHandle.standardOutput.write(Data("\(user)@pomelo : \(server)> ".utf8))
            guard let line = await Self.nextLine(), line.text != "quit" else { return }
            do {
                guard line.isWhole else {
                    throw PomeloError(.configuration, "a line has at most \(ConsoleLine.mostBytes) bytes")
                }
                _ = try await obey(line.text)
            } catch {
                Console.error("error: \(error)")
            }
        }
    }

    private static func nextLine() async -> (text: String, isWhole: Bool)? {
        do {
            return try await offLoop { ThisProcess.nextLine(atMost: ConsoleLine.mostBytes) }
        } catch {
            return nil
        }
    }

    /// Whether no server refused, or was silent.
    func obey(_ text: String) async throws -> Bool {
        switch try ConsoleLine(text) {
        case .nothing: return true
        case .help: Console.line(ConsoleLine.manual)
        case .use(let other):
            // One that is not there is told now.
            if other != "all" { _ = try await order.give(.ask(ServerID(other), ["show": "components"])) }
            server = other
        case .ask(let message): return show(try await order.give(.ask(chosen, message)))
        case .module(let id, let message): return show(try await order.give(.module(id, chosen, message)))
        }
        return true
    }

    /// Nil: all.
    private var chosen: ServerID? { server == "all" ? nil : ServerID(server) }

    private func show(_ answers: JSON) -> Bool {
        var isWhole = true
        for (id, answer) in answers.object ?? [:] {
            Console.line("\(id): \(String(decoding: answer.encoded(), as: UTF8.self))")
            if answer["error"] != nil { isWhole = false }
        }
        return isWhole
    }
}
