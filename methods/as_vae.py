"""Adversarial Symmetric Variational Autoencoder (Pu et al. 2017), and its two halves."""

import torch
from torch import Tensor, nn

from methods.method import LikelihoodMethod
from methods.terms import says_one, says_zero
from methods.training.game import Batch, Player


class Symmetric(LikelihoodMethod):
    """The terms that AS-VAE, AS-VAE-r and AS-VAE-g share. The encoder's density must be known at any z.

    Critic r (eq. 5): f1* = log q(x, z) - log p(x)p(z)      Critic g (eq. 6): f2* = log p(x, z) - log q(x)q(z)
    L_r (eq. 8): E_q [f1(x, z) - log p(x|z)]                 L_g (eq. 10): E_p [f2(x, z) - log q(z|x)]

    Eq. 11's right-hand side, L_r + L_g, is minimised (its left side and eq. 12 have the sign wrong, and eq. 10
    prints log q(x|z)). Each critic says 1 of its joint pairs and 0 of products of the other model's marginals.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encoder_pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """x from the data, z ~ q(z|x)."""
        return batch.x, self.encoder(batch.x).rsample()

    def decoder_pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """x ~ p(x|z), z ~ p(z), as many as the batch has."""
        z = self.decoder.sample_prior(len(batch.x), batch.x.device)
        return self.decoder.generate(z), z

    def critic_r_loss(self, critic: nn.Module, batch: Batch) -> Tensor:
        """Eq. 5: q(x, z) against p(x)p(z): generated x, and z of other draws of the prior."""
        with torch.no_grad():  # only the critic moves: no graph through the networks is needed
            (x, z), (x_p, _) = self.encoder_pair(batch), self.decoder_pair(batch)
            other = self.decoder.sample_prior(len(x_p), x_p.device)
        return says_one(critic(x, z)) + says_zero(critic(x_p, other))

    def critic_g_loss(self, critic: nn.Module, batch: Batch) -> Tensor:
        """Eq. 6: p(x, z) against q(x)q(z): data, and the codes of other data."""
        with torch.no_grad():
            (x, z), (x_p, z_p) = self.encoder_pair(batch), self.decoder_pair(batch)
        return says_one(critic(x_p, z_p)) + says_zero(critic(x, z.roll(1, 0)))

    def reconstruction_term(self, critic: nn.Module, batch: Batch) -> Tensor:
        """L_r (eq. 8)."""
        x, z = self.encoder_pair(batch)
        return (critic(x, z) - self.decoder.log_likelihood(x, z)).mean()

    def generation_term(self, critic: nn.Module, batch: Batch) -> Tensor:
        """L_g (eq. 10)."""
        x, z = self.decoder_pair(batch)
        return (critic(x, z) - self.encoder(x).log_prob(z)).mean()

    def validation_loss(self, batch: Batch) -> Tensor:
        """The paper's early stopping: mean of the reconstruction losses of x and of z."""
        (x, z), (x_p, z_p) = self.encoder_pair(batch), self.decoder_pair(batch)
        return -0.5 * (self.decoder.log_likelihood(x, z) + self.encoder(x_p).log_prob(z_p)).mean()


class ASVAE(Symmetric):
    """Three players: both critics, and the encoder with the decoder, who minimise L_r + L_g (eq. 11)."""

    paper = "AS-VAE"
    equations = "5, 6, 8, 10, 11"
    player_names = ("model", "critic_r", "critic_g")
    needs = {"encoder": ("log_prob", "foreign_log_prob")}
    provides = ("log_weight", "encode", "decoder")
    correspondence = {
        "name": "AS-VAE",
        "x": "data, generations",
        "y": "joint pair or product of marginals",
        "z": "code",
        "p(x|y)": "[G] and [I] p_theta(x|z), decoder",
        "q(y|x)": "[G] q_phi(y|x,z), two critics of pairs",
        "q(z|x,y)": "[I] and [G] encoder",
        "minimises": "the sum of AS-VAE-r's and AS-VAE-g's",
    }
    relations = {"ASVAEr": "combines", "ASVAEg": "combines"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, critic_r: nn.Module, critic_g: nn.Module):
        super().__init__(encoder, decoder)
        self.critic_r, self.critic_g = critic_r, critic_g

    def players(self) -> dict[str, Player]:
        return {
            "model": Player((self.encoder, self.decoder), self.model_loss),
            "critic_r": Player((self.critic_r,), lambda batch: self.critic_r_loss(self.critic_r, batch)),
            "critic_g": Player((self.critic_g,), lambda batch: self.critic_g_loss(self.critic_g, batch)),
        }

    def model_loss(self, batch: Batch) -> Tensor:
        """Eq. 11, right-hand side."""
        return self.reconstruction_term(self.critic_r, batch) + self.generation_term(self.critic_g, batch)


class ASVAEr(Symmetric):
    """AS-VAE-r: L_r alone."""

    paper = "AS-VAE"
    equations = "5, 8"
    player_names = ("model", "critic_r")
    needs = {"encoder": ("log_prob", "foreign_log_prob")}
    provides = ("log_weight", "encode", "decoder")
    correspondence = {
        "name": "AS-VAE-r",
        "x": "data, generations",
        "y": "encoder's pair or product of the model's marginals",
        "z": "code",
        "p(x|y)": "[G] p_theta(x|z), decoder",
        "q(y|x)": "[G] q_phi(y|x,z), critic, for log q_eta(x,z) - log p_theta(x) p(z)",
        "q(z|x,y)": "[I] encoder",
        "minimises": "KL(q_eta(x,z) || p_theta(x,z)) + KL(p_data(x) || p_theta(x))",
    }
    relations = {"VAE": "extends"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, critic_r: nn.Module):
        super().__init__(encoder, decoder)
        self.critic_r = critic_r

    def players(self) -> dict[str, Player]:
        return {
            "model": Player((self.encoder, self.decoder), lambda batch: self.reconstruction_term(self.critic_r, batch)),
            "critic_r": Player((self.critic_r,), lambda batch: self.critic_r_loss(self.critic_r, batch)),
        }


class ASVAEg(Symmetric):
    """AS-VAE-g: L_g alone. Nothing asks it to reconstruct data: a bad likelihood is what the paper reports."""

    paper = "AS-VAE"
    equations = "6, 10"
    player_names = ("model", "critic_g")
    needs = {"encoder": ("log_prob", "foreign_log_prob")}
    provides = ("log_weight", "encode", "decoder")
    correspondence = {
        "name": "AS-VAE-g",
        "x": "generations, data",
        "y": "decoder's pair or product of the encoder's marginals",
        "z": "code",
        "p(x|y)": "[I] p_theta(x|z), decoder",
        "q(y|x)": "[G] q_phi(y|x,z), critic, for log p_theta(x,z) - log p_data(x) q_eta(z)",
        "q(z|x,y)": "[G] encoder",
        "minimises": "KL(p_theta(x,z) || q_eta(x,z)) + KL(p(z) || q_eta(z))",
    }
    relations = {"ASVAEr": "swaps"}

    def __init__(self, encoder: nn.Module, decoder: nn.Module, critic_g: nn.Module):
        super().__init__(encoder, decoder)
        self.critic_g = critic_g

    def players(self) -> dict[str, Player]:
        return {
            "model": Player((self.encoder, self.decoder), lambda batch: self.generation_term(self.critic_g, batch)),
            "critic_g": Player((self.critic_g,), lambda batch: self.critic_g_loss(self.critic_g, batch)),
        }
