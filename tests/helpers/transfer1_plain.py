"""Cosmos-Transfer1 in plain torch, written from its published description, and tiny random weights under its key names.

Nothing here knows the package or ComfyUI. Tensors are (B, T, H, W, D) all the way; weights come as {name: tensor}.
"""

import io
import math

import torch
import torch.nn.functional as F

WIDTH, HEADS, INNER, TEXT, LORA = 24, 2, 48, 32, 8
CHANNELS, INPUTS, HINT = 16, 17, 128  # latent, latent and condition mask, hint
POSITIONS = {"h": 120, "w": 120, "t": 128}
CONTROL_BLOCKS = 3


# -- weights --------------------------------------------------------------------------------------------------------


def _draw(generator, *shape):
    return torch.randn(shape, generator=generator) / (shape[-1] ** 0.5 if len(shape) > 1 else 1)


def _network(blocks, generator):
    state = {"x_embedder.proj.1.weight": _draw(generator, WIDTH, (INPUTS + 1) * 4)}
    state["t_embedder.1.linear_1.weight"] = _draw(generator, WIDTH, WIDTH)
    state["t_embedder.1.linear_2.weight"] = 0.5 * _draw(generator, 3 * WIDTH, WIDTH)
    state["affline_norm.weight"] = 1 + 0.1 * _draw(generator, WIDTH)
    for axis, length in POSITIONS.items():
        state[f"extra_pos_embedder.pos_emb_{axis}"] = torch.randn(length, WIDTH, generator=generator)
    for number in range(blocks):
        for part, source in ((0, WIDTH), (1, TEXT)):
            name = f"blocks.block{number}.blocks.{part}.block.attn"
            state[f"{name}.to_q.0.weight"] = _draw(generator, WIDTH, WIDTH)
            state[f"{name}.to_k.0.weight"] = _draw(generator, WIDTH, source)
            state[f"{name}.to_v.0.weight"] = _draw(generator, WIDTH, source)
            state[f"{name}.to_out.0.weight"] = _draw(generator, WIDTH, WIDTH)
            for norm in ("to_q.1", "to_k.1"):
                state[f"{name}.{norm}.weight"] = 1 + 0.1 * _draw(generator, WIDTH // HEADS)
        state[f"blocks.block{number}.blocks.2.block.layer1.weight"] = _draw(generator, INNER, WIDTH)
        state[f"blocks.block{number}.blocks.2.block.layer2.weight"] = _draw(generator, WIDTH, INNER)
        for part in range(3):
            name = f"blocks.block{number}.blocks.{part}.adaLN_modulation"
            state[f"{name}.1.weight"] = _draw(generator, LORA, WIDTH)
            state[f"{name}.2.weight"] = _draw(generator, 3 * WIDTH, LORA)
    state["final_layer.linear.weight"] = _draw(generator, CHANNELS * 4, WIDTH)
    state["final_layer.adaLN_modulation.1.weight"] = _draw(generator, LORA, WIDTH)
    state["final_layer.adaLN_modulation.2.weight"] = _draw(generator, 2 * WIDTH, LORA)
    return state


def base_weights(seed, blocks=4):
    return _network(blocks, torch.Generator().manual_seed(seed))


def control_weights(seed):
    generator = torch.Generator().manual_seed(seed)
    state = _network(CONTROL_BLOCKS, generator)
    state["x_embedder2.proj.1.weight"] = _draw(generator, WIDTH, (HINT + 1) * 4) * 3
    widths = (WIDTH, 16, 16, 32, 32, 96, 96, 256, WIDTH)
    for place, (narrow, wide) in enumerate(zip(widths, widths[1:])):
        state[f"input_hint_block.{2 * place}.weight"] = 1.5 * _draw(generator, wide, narrow)
        state[f"input_hint_block.{2 * place}.bias"] = 0.1 * _draw(generator, wide)
    for number in range(CONTROL_BLOCKS):
        state[f"zero_blocks.block{number}.weight"] = _draw(generator, WIDTH, WIDTH)
        state[f"zero_blocks.block{number}.bias"] = 0.1 * _draw(generator, WIDTH)
    return state


def released(weights, prefix):
    """A state as the files hold it: prefixed, with what training and TransformerEngine leave behind."""
    before = prefix.removesuffix("net.")
    state = {prefix + name: value for name, value in weights.items()}
    state[prefix + "pos_embedder.seq"] = torch.arange(240.0)
    state[prefix + "blocks.block0.blocks.0.block.attn.to_q.1._extra_state"] = io.BytesIO(b"state")
    state[prefix + "blocks.block0.blocks.0.block.attn.attn_op._extra_state"] = io.BytesIO()
    state[prefix + "blocks.block0.blocks.1.block.attn.attn_op._extra_state"] = None
    state[prefix + "blocks.block1.blocks.1.block.attn.attn_op._extra_state"] = torch.zeros(0, dtype=torch.uint8)
    state[prefix + "accum_video_sample_counter"] = torch.zeros(())
    state |= {before + "logvar.0.freqs": torch.randn(8), before + "logvar.1.weight": torch.randn(1, 8)}
    return state


# -- the network ----------------------------------------------------------------------------------------------------


def _rms(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * gain


def _norm(x):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, correction=0) + 1e-6)


def _tokens(x, weight):
    """(B, C, T, H, W) -> (B, T, H / 2, W / 2, D): patches of 2 x 2, channel first, then row, then column."""
    batch, channels, frames, height, width = x.shape
    x = x.reshape(batch, channels, frames, height // 2, 2, width // 2, 2).permute(0, 2, 3, 5, 1, 4, 6)
    return x.reshape(batch, frames, height // 2, width // 2, channels * 4) @ weight.T


def _position_code(state, frames, height, width):
    """e / (|e| / sqrt(D) + 1e-6) of e = e_t + e_h + e_w."""
    t, h, w = (state[f"extra_pos_embedder.pos_emb_{axis}"] for axis in "thw")
    code = t[:frames, None, None] + h[None, :height, None] + w[None, None, :width]
    return code / (code.norm(dim=-1, keepdim=True) / math.sqrt(code.shape[-1]) + 1e-6)


def _angles(frames, height, width, fps, stretch, dtype):
    """(T H W, d / 2): time, row and column turned at their own frequencies."""
    head = WIDTH // HEADS
    space = head // 6 * 2
    time = head - 2 * space
    base = 10000 * stretch ** (time / (time - 2))
    of_time = base ** -(torch.arange(0, time, 2, dtype=dtype) / time)
    of_space = 10000.0 ** -(torch.arange(0, space, 2, dtype=dtype) / space)
    seconds = torch.arange(frames, dtype=dtype) * (1 if fps is None else 24 / fps)
    t = (seconds[:, None] * of_time)[:, None, None].expand(-1, height, width, -1)
    h = (torch.arange(height, dtype=dtype)[:, None] * of_space)[None, :, None].expand(frames, -1, width, -1)
    w = (torch.arange(width, dtype=dtype)[:, None] * of_space)[None, None].expand(frames, height, -1, -1)
    return torch.cat([t, h, w], -1).flatten(0, 2)


def _turned(x, angles):
    a, b = x.chunk(2, -1)
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


def _attention(state, name, x, source, angles):
    def heads(values):
        return values.unflatten(-1, (HEADS, -1)).transpose(1, 2)

    q = _rms(heads(x @ state[f"{name}.to_q.0.weight"].T), state[f"{name}.to_q.1.weight"])
    k = _rms(heads(source @ state[f"{name}.to_k.0.weight"].T), state[f"{name}.to_k.1.weight"])
    v = heads(source @ state[f"{name}.to_v.0.weight"].T)
    if angles is not None:
        q, k = _turned(q, angles), _turned(k, angles)
    mixed = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v
    return mixed.transpose(1, 2).flatten(2) @ state[f"{name}.to_out.0.weight"].T


def _time_code(state, c_noise):
    """(the normalised code, what every modulation adds): cosines and sines of c_noise at falling frequencies."""
    frequencies = torch.exp(-math.log(10000) * torch.arange(WIDTH // 2, dtype=c_noise.dtype) / (WIDTH // 2))
    turned = c_noise[:, None] * frequencies
    code = torch.cat([turned.cos(), turned.sin()], -1)
    shared = F.silu(code @ state["t_embedder.1.linear_1.weight"].T) @ state["t_embedder.1.linear_2.weight"].T
    return _rms(code, state["affline_norm.weight"]), shared


def _modulation(state, name, code, shared):
    values = F.silu(code) @ state[f"{name}.1.weight"].T @ state[f"{name}.2.weight"].T
    return (values + shared[:, : values.shape[-1]])[:, None, None, None]


def _block(state, number, x, code, shared, text, angles, positions):
    x = x + positions
    for part in range(3):
        name = f"blocks.block{number}.blocks.{part}"
        shift, scale, gate = _modulation(state, f"{name}.adaLN_modulation", code, shared).chunk(3, -1)
        seen = _norm(x) * (1 + scale) + shift
        if part == 2:
            made = F.gelu(seen @ state[f"{name}.block.layer1.weight"].T) @ state[f"{name}.block.layer2.weight"].T
        else:
            flat = seen.flatten(1, 3)
            source, turn = (flat, angles) if part == 0 else (text, None)
            made = _attention(state, f"{name}.block.attn", flat, source, turn).reshape(x.shape)
        x = x + gate * made
    return x


def _start(state, x, c_noise, fps, stretch):
    padded = torch.cat([x, torch.zeros_like(x[:, :1])], 1)  # the padding mask of a full picture
    tokens = _tokens(padded, state["x_embedder.proj.1.weight"])
    _, frames, height, width, _ = tokens.shape
    angles = _angles(frames, height, width, fps, stretch, x.dtype)
    return tokens, *_time_code(state, c_noise), angles, _position_code(state, frames, height, width)


def branch_hints(state, x, c_noise, text, hint, fps=None):
    """[h_0, h_1, h_2]: the branch's own blocks on the noisy input, the hint after its block 0, zero_i of each."""
    tokens, code, shared, angles, positions = _start(state, x, c_noise, fps, stretch=1)
    empty = torch.zeros(hint.shape[0], HINT + 1 - hint.shape[1], *hint.shape[2:], dtype=hint.dtype)
    guided = _tokens(torch.cat([hint, empty], 1), state["x_embedder2.proj.1.weight"])
    for place in range(8):
        layer = f"input_hint_block.{2 * place}"
        guided = guided @ state[f"{layer}.weight"].T + state[f"{layer}.bias"]
        guided = F.silu(guided) if place < 7 else guided
    hints = []
    for number in range(CONTROL_BLOCKS):
        tokens = _block(state, number, tokens, code, shared, text, angles, positions)
        if number == 0:
            tokens = tokens + guided
        hints.append(tokens @ state[f"zero_blocks.block{number}.weight"].T + state[f"zero_blocks.block{number}.bias"])
    return hints


def base_answer(state, x, c_noise, text, added=(), fps=None):
    """F(x): x <- block_i(x) + added_i, then the output layer; (B, 17, T, H, W) -> (B, 16, T, H, W)."""
    tokens, code, shared, angles, positions = _start(state, x, c_noise, fps, stretch=2)
    blocks = 1 + max(int(name.split("block")[2].split(".")[0]) for name in state if name.startswith("blocks.block"))
    for number in range(blocks):
        tokens = _block(state, number, tokens, code, shared, text, angles, positions)
        if number < len(added):
            tokens = tokens + added[number]
    shift, scale = _modulation(state, "final_layer.adaLN_modulation", code, shared).chunk(2, -1)
    made = (_norm(tokens) * (1 + scale) + shift) @ state["final_layer.linear.weight"].T
    batch, frames, height, width, _ = made.shape
    made = made.reshape(batch, frames, height, width, 2, 2, CHANNELS).permute(0, 6, 1, 2, 4, 3, 5)
    return made.reshape(batch, CHANNELS, frames, height * 2, width * 2)


def normalised(weights):
    """w_i / max(1, sum of w), at every site."""
    total = sum(weights)
    return [w / torch.clamp(torch.as_tensor(total), min=1) for w in weights]


def token_map(weight, frames, height, width):
    """A weight map (T, H, W) in pixels on the tokens: the first frame by itself, the others trilinearly."""
    grid = height // 2, width // 2
    first = F.interpolate(weight[None, None, :1], (1, *grid), mode="trilinear", align_corners=False)
    others = F.interpolate(weight[None, None, 1:], (frames - 1, *grid), mode="trilinear", align_corners=False)
    return torch.cat([first, others], 2)[0, 0]


def denoised(base, controls, x, sigma, text, fps=None, sigma_data=0.5):
    """D = c_skip x + c_out F(c_in x, ln(sigma) / 4) with controls [(branch, hint, weight)], weights used as given.

    A weight is a number or a token map (t, h / 2, w / 2).
    """
    total = sigma**2 + sigma_data**2
    c_skip, c_out, c_in = sigma_data**2 / total, sigma * sigma_data / math.sqrt(total), 1 / math.sqrt(total)
    c_noise = torch.full((x.shape[0],), math.log(sigma) / 4, dtype=x.dtype)
    seen = torch.cat([c_in * x, torch.zeros_like(x[:, :1])], 1)  # no frame is given as a condition
    added = None
    for branch, hint, weight in controls:
        weight = weight[None, ..., None] if torch.is_tensor(weight) and weight.ndim else weight
        hints = [weight * value for value in branch_hints(branch, seen, c_noise, text, hint, fps)]
        added = hints if added is None else [a + b for a, b in zip(added, hints)]
    return c_skip * x + c_out * base_answer(base, seen, c_noise, text, added or (), fps)


def wide(state):
    return {name: value.double() for name, value in state.items()}
