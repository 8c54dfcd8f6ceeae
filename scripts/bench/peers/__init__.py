"""The ways to run the model that are compared: a file each. To add one, write its file and name it here."""

from peers import ctranslate2, onnxruntime, openvino, pipeline, reviewrate
from peers.base import Peer

PEERS: dict[str, Peer] = {
    "reviewrate": reviewrate.PEER,
    "pipeline": pipeline.PEER,
    "onnxruntime": onnxruntime.PEER,
    "openvino": openvino.PEER,
    "ctranslate2": ctranslate2.PEER,
}

# What the ways need: each is made from those whose names it begins with, which stand before it.
MAKERS = {name: make for peer in PEERS.values() for name, make in peer.makers.items()}
