// SPDX-License-Identifier: MIT
//
// PomeloTool: the command `pomelo`: makes a project, and finds a project's program for every other command.
// Reading order: PomeloTool, InitCommand, ProjectFiles, ProjectProgram; Project has the files of a new project.
import ArgumentParser
import Foundation
import PomeloLoop

@main struct PomeloTool {
    /// What it does itself.
    private static let own = ["init", "help", "--help", "-h", "--generate-completion-script"]

    static func main() async {
        var words = Array(CommandLine.arguments.dropFirst())
        await Loop.spawn {
            if let first = words.first, !PomeloTool.own.contains(first) {
                await ProjectProgram.run(&words)
            } else {
                await ToolCommand.main(words)
            }
        }.value
    }
}

struct ToolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pomelo",
        abstract: "Makes a project of Pomelo for Swift, and gives every other command to the project's own program.",
        usage: """
            pomelo init [<path>] [--connector hybrid|socketio|wss|udp|mqtt] [--package <path or url>] [--yes]
            pomelo [--program <path>] start | list | stop | restart | … as the program has them
            """,
        subcommands: [InitCommand.self])
}
