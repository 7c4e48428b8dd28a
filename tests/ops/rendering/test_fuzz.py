"""Random splats and cameras of all kinds against the float64 definition."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.rendering.interface import RenderSettings
from ops.rendering.reference import render_reference
from ops.rendering.render import render


@settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # `make` has no state
)
@given(
    n=st.integers(1, 25),
    seed=st.integers(0, 10_000),
    degree=st.integers(0, 3),
    features=st.integers(0, 4),
    size=st.sampled_from([0.003, 0.03, 0.2, 1.0]),
    anisotropy=st.sampled_from([0.0, 1.0, 2.0]),
    distance=st.sampled_from([0.2, 1.0, 3.0, 30.0]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    mode=st.sampled_from(["classic", "antialiased"]),
    eps2d=st.sampled_from([0.1, 0.3, 1.0]),
    absgrad=st.booleans(),
)
def test_any_scene(
    make,
    n,
    seed,
    degree,
    features,
    size,
    anisotropy,
    distance,
    width,
    height,
    mode,
    eps2d,
    absgrad,
):
    splats = make.splats(n, seed=seed, degree=degree, features=features, size=size)
    stretched = splats.log_scales * (1 + anisotropy * (splats.means - 0.3))
    splats = make.trainable(replace(splats, log_scales=stretched.clamp(-9, 1)))
    cameras = make.cameras([(width, height)], seed=seed, distance=distance)
    wanted = RenderSettings(mode=mode, eps2d=eps2d, absgrad=absgrad, median_depth=True)
    [found] = render(splats, cameras, wanted)
    expected = render_reference(
        splats.detach().to(dtype=torch.float64),
        cameras.viewmats[0].double(),
        cameras.Ks[0].double(),
        width,
        height,
        wanted,
    )
    certain = expected.margin > 3e-4
    if not certain.any():
        return
    scale = max(1.0, float(expected.colors.abs().max()))
    # Near the camera float32 positions in the image are themselves less exact.
    tolerance = 2e-5 if distance >= 1 else 2e-3
    assert (found.colors - expected.colors)[certain].abs().max() < tolerance * scale
    assert (found.alphas - expected.alphas)[certain].abs().max() < tolerance
    assert (found.median_depth - expected.median_depth)[certain].abs().max() < 1e-3
    found.colors.square().sum().backward()
    for name, tensor in splats.tensors().items():
        assert torch.isfinite(tensor.grad).all(), name


@settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    values=st.lists(
        st.one_of(st.floats(width=32), st.sampled_from([0.0, 1e-38, 3e38, -88.0, 88.0])),
        min_size=14,
        max_size=14,
    ),
    near=st.sampled_from([0.01, 0.0]),
    mode=st.sampled_from(["classic", "antialiased"]),
    eps2d=st.sampled_from([0.0, 0.3]),
)
def test_any_bits_in_a_gaussian(make, values, near, mode, eps2d):
    v = torch.tensor(values)
    splats = make.splats(4, degree=0)
    means, quats, log_scales, logits, sh0 = (
        t.clone()
        for t in (
            *(splats.means, splats.quats, splats.log_scales, splats.opacity_logits),
            splats.sh0,
        )
    )
    means[1], quats[1], log_scales[1], logits[1] = v[:3], v[3:7], v[7:10], v[10]
    sh0[1, 0] = v[11:].clamp(-1e30, 1e30)
    splats = make.trainable(
        replace(
            splats, means=means, quats=quats, log_scales=log_scales, opacity_logits=logits, sh0=sh0
        )
    )
    wanted = RenderSettings(mode=mode, eps2d=eps2d, near_plane=near, expected_depth=True)
    [seen] = render(splats, make.cameras([(37, 18)]), wanted)
    assert torch.isfinite(seen.colors).all()
    assert torch.isfinite(seen.expected_depth).all()
    (seen.colors.sum() * 1e-30 + seen.alphas.sum() + seen.expected_depth.sum() * 1e-9).backward()
    for name, tensor in splats.tensors().items():
        assert torch.isfinite(tensor.grad).all(), name
