"""Two network devices and the packets between them: each takes its time, gets lost or is held up, by the address of a node.

Started in a network namespace of its own, with the names of the two devices. The near one is for somebody else to move away.
A line on standard input is a request, `ADDRESS DELAY_MS LOSS UP DOWN`: packets of this node arrive so much later, LOSS of 1 are
lost, and to and from it pass packets of at most UP and DOWN bytes. `ADDRESS ?` asks for what happened. Either is answered by a
line: packets lost, and the most bytes that were under way to and from the node at a time. It ends with its standard input.
"""

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
PACKET_BYTES_MAX = 65536
# What a sender may be ahead of the link, as in a router.
UNDER_WAY_BYTES_MAX = 4 * 1024 * 1024

Node = type("Node", (), {})


def open_device(name):
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_NO_PI))
    os.set_blocking(device, False)
    return device


def make_node(address):
    node = Node()
    node.delay, node.loss, node.bytes_max = 0.0, 0.0, [PACKET_BYTES_MAX, PACKET_BYTES_MAX]
    node.lost, node.under_way, node.under_way_max = 0, [0, 0], [0, 0]
    node.random = random.Random(address)
    return node


def main():
    devices = [open_device(name) for name in sys.argv[1:3]]
    nodes, queue, count, requests = {}, [], 0, b""
    node_of = lambda address: nodes.get(address) or nodes.setdefault(address, make_node(address))
    print("ready", flush=True)
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        readable, _, _ = select.select([0, *devices], [], [], wait)
        if 0 in readable:
            chunk = os.read(0, 4096)
            if not chunk:
                return
            *lines, requests = (requests + chunk).split(b"\n")
            for line in lines:
                address, *rule = line.decode().split()
                node = node_of(socket.inet_aton(address))
                if rule[0] != "?":
                    node.delay, node.loss = float(rule[0]) / 1000, float(rule[1])
                    node.bytes_max = [int(word) for word in rule[2:4]]
                print(node.lost, *node.under_way_max, flush=True)
        for way, device in enumerate(devices):
            if device not in readable:
                continue
            try:
                packet = os.read(device, PACKET_BYTES_MAX)
            except OSError:
                continue  # The device is not up yet, or no more.
            if packet[0] >> 4 != 4:
                continue
            # Of a packet to a node its destination is the node, of one from there its source.
            node = node_of(packet[16:20] if way == 0 else packet[12:16])
            is_full = node.under_way[way] + len(packet) > UNDER_WAY_BYTES_MAX
            if is_full or len(packet) > node.bytes_max[way] or node.random.random() < node.loss:
                node.lost += 1
                continue
            node.under_way[way] += len(packet)
            node.under_way_max[way] = max(node.under_way_max[way], node.under_way[way])
            count += 1
            heapq.heappush(queue, (time.monotonic() + node.delay, count, way, node, packet))
        while queue and queue[0][0] <= time.monotonic():
            _, _, way, node, packet = heapq.heappop(queue)
            node.under_way[way] -= len(packet)
            try:
                os.write(devices[1 - way], packet)
            except OSError:
                node.lost += 1


main()
