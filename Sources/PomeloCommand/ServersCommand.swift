// SPDX-License-Identifier: MIT
import ArgumentParser
import Pomelo
import PomeloRedis

/// `Chat servers`: one line per configured server, for scripts: id, type, host, port, client port or nothing.
struct ServersCommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "servers", abstract: "Prints the configured servers of an environment, tab-separated.")
    }

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Prints a JSON array instead.")
    var json = false

    func run() async throws {
        try await reported {
            let servers = try options.load(Program.folder).servers
            if json { return Console.json(.array(servers.map(\.listed))) }
            for server in servers {
                let clientPort = server.clientPort.map(String.init) ?? ""
                Console.line("\(server.id)\t\(server.type)\t\(server.host)\t\(server.port)\t\(clientPort)")
            }
        }
    }
}

extension ServerRecord {
    fileprivate var listed: JSON {
        var object: JSONObject = [
            "id": .string(id.rawValue), "type": .string(type.rawValue), "host": .string(host), "port": JSON(port),
        ]
        object["clientPort"] = clientPort.map { JSON($0) }
        return .object(object)
    }
}

/// `Chat redis`: where Redis is, for scripts: host and port of one server, or the path of its socket and 0; a line for
/// each sentinel or node that is named, with the word `sentinel` or `cluster` behind.
struct RedisSubcommand<Program: ServerProgram>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: "redis", abstract: "Prints where Redis is, tab-separated.")
    }

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        try await reported {
            switch try RedisSettings.load(try options.load(Program.folder)).topology {
            case .standalone(let place): Console.line("\(place.host)\t\(place.port)")
            case .sentinel(let address):
                for place in address.places { Console.line("\(place.host)\t\(place.port)\tsentinel") }
            case .cluster(let seeds):
                for place in seeds { Console.line("\(place.host)\t\(place.port)\tcluster") }
            }
        }
    }
}
