// SPDX-License-Identifier: MIT
import ArgumentParser
import Foundation

/// `pomelo init`: a project that builds, passes its test and chats.
///
/// - Source: pomelo 2.2.7, bin/pomelo: `pomelo init`.
struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Makes a project: a chat of rooms on several processes, its test and its page.")

    @Argument(help: "The project's folder, whose name is the program's.")
    var path = "."

    @Option(help: "What clients speak: \(ConnectorKind.helpOfAll).")
    var connector: ConnectorKind?

    @Option(help: "Where the package pomelo-swift is: a folder, or the address of a Git repository.")
    var package: String?

    @Flag(name: .shortAndLong, help: "Asks nothing: hybrid, and also into a folder that is not empty.")
    var yes = false

    func run() async throws {
        do {
            try make()
        } catch let error as ProjectError {
            FileHandle.standardError.write(Data("error: \(error.text)\n".utf8))
            throw ExitCode(1)
        }
    }

    private func make() throws {
        let folder = URL(fileURLWithPath: path)
        let name = try ProjectFiles.name(folder.lastPathComponent)
        let package = try package ?? ProjectFiles.ownCheckout()
        try askForRoom(in: folder)
        let files = ProjectFiles(name: name, connector: connector ?? askForConnector(), package: package)
        for (path, text) in files.all {
            let file = folder.appendingPathComponent(path)
            guard !FileManager.default.fileExists(atPath: file.path) else {
                say("   kept   : \(path)")
                continue
            }
            do {
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: file)
            } catch {
                throw ProjectError(text: "\(file.path) cannot be written: \(error.localizedDescription)")
            }
            say("   create : \(path)")
        }
        let enter = path == "." ? "" : "cd \(path) && "
        say("\(name) is made. \(enter)swift test, then swift run \(name) start --redis standalone")
    }

    /// Nothing of what is there is ever written over.
    private func askForRoom(in folder: URL) throws {
        let there = FileManager.default.fileExists(atPath: folder.path)
        let entries = there ? try entries(of: folder) : []
        guard !yes, !entries.isEmpty else { return }
        ask("Destination is not empty, continue? (y/n) [no] ")
        let answer = (readLine() ?? "").lowercased().trimmingCharacters(in: .whitespaces)
        guard answer.hasPrefix("y") else { throw ProjectError(text: "\(folder.path) is not empty") }
    }

    private func entries(of folder: URL) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0 != ".git" }
        } catch {
            throw ProjectError(text: "\(folder.path) is no folder that can be read")
        }
    }

    private func askForConnector() -> ConnectorKind {
        guard !yes else { return .hybrid }
        while true {
            ask("Connector: \(ConnectorKind.question): [1] ")
            let answer = (readLine() ?? "").trimmingCharacters(in: .whitespaces)
            if let kind = ConnectorKind.chosen(answer) { return kind }
            say("1 to \(ConnectorKind.allCases.count), please")
        }
    }

    private func ask(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
    private func say(_ text: String) { FileHandle.standardOutput.write(Data("\(text)\n".utf8)) }
}

/// Why no project is made, or no program found, for people.
struct ProjectError: Error {
    let text: String
}
