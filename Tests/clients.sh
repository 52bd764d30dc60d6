# SPDX-License-Identifier: MIT
#
# Clients that nobody here wrote, for `./dev test` and `./dev check`, which source this file.

# All of them, and what plugins are written with.
clients_of_others() {
    plugin_libraries
    websocket_clients
    python_client
    socketio_clients
    mqtt_client
}

# A client that nobody here wrote.
python_client() {
    .build/venv/bin/python -c 'import pypomelo' 2>/dev/null && return
    python3 -m venv .build/venv
    .build/venv/bin/pip install --quiet pypomelo==1.0.1
}

# Three more, of three generations of socket.io, which do not get on in one environment.
socketio_clients() {
    venv socketio-5 python-socketio==5.18.1 python-engineio==4.15.1 requests websocket-client==1.9.2
    venv socketio-4 python-socketio==4.6.1 python-engineio==3.14.2 requests websocket-client==1.9.2
    venv socketio-09 socketIO-client==0.5.7.2 websocket-client==0.59.0
}

# One of MQTT.
mqtt_client() { venv paho paho-mqtt==2.1.0; }

# WebSocket clients that nobody here wrote, for the frames alone: pomelo's packages are ours.
websocket_clients() {
    venv websockets websockets==17.4
    venv autobahn autobahn==26.10.2
}

# What plugins in other processes are written with.
plugin_libraries() {
    venv flask flask==3.1.3
}

# venv NAME PACKAGE...: made anew when other packages are asked for.
venv() {
    local folder=.build/venvs/$1
    shift
    [[ $(cat "$folder/packages" 2>/dev/null) != "$*" ]] || return 0
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet "$@"
    echo "$*" >"$folder/packages"
}
