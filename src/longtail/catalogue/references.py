"""Where each method comes from, under one name each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A paper: enough to find it and to cite it."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    journal: bool = False

    @property
    def short(self) -> str:
        """As in "Cao et al. 2019"."""
        names = self.authors.split(" and ")
        last = [name.split()[-1] for name in names]
        who = last[0] if len(last) == 1 else f"{last[0]} and {last[1]}" if len(last) == 2 else f"{last[0]} et al."
        return f"{who} {self.year}"

    @property
    def bibtex(self) -> str:
        """A BibTeX entry."""
        kind, where = ("article", "journal") if self.journal else ("inproceedings", "booktitle")
        return (
            f"@{kind}{{{self.key},\n  author = {{{self.authors}}},\n  title = {{{self.title}}},\n"
            f"  {where} = {{{self.venue}}},\n  year = {{{self.year}}}\n}}"
        )


LIN_2017 = Reference(
    "lin2017focal",
    "Tsung-Yi Lin and Priya Goyal and Ross Girshick and Kaiming He and Piotr Dollár",
    "Focal Loss for Dense Object Detection",
    "International Conference on Computer Vision (ICCV)",
    2017,
)
CUI_2019 = Reference(
    "cui2019class",
    "Yin Cui and Menglin Jia and Tsung-Yi Lin and Yang Song and Serge Belongie",
    "Class-Balanced Loss Based on Effective Number of Samples",
    "Conference on Computer Vision and Pattern Recognition (CVPR)",
    2019,
)
CAO_2019 = Reference(
    "cao2019learning",
    "Kaidi Cao and Colin Wei and Adrien Gaidon and Nikos Arechiga and Tengyu Ma",
    "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
    "Advances in Neural Information Processing Systems (NeurIPS)",
    2019,
)
MENON_2021 = Reference(
    "menon2021long",
    "Aditya Krishna Menon and Sadeep Jayasumana and Ankit Singh Rawat and Himanshu Jain and Andreas Veit "
    "and Sanjiv Kumar",
    "Long-Tail Learning via Logit Adjustment",
    "International Conference on Learning Representations (ICLR)",
    2021,
)
REN_2020 = Reference(
    "ren2020balanced",
    "Jiawei Ren and Cunjun Yu and Shunan Sheng and Xiao Ma and Haiyu Zhao and Shuai Yi and Hongsheng Li",
    "Balanced Meta-Softmax for Long-Tailed Visual Recognition",
    "Advances in Neural Information Processing Systems (NeurIPS)",
    2020,
)
SHEN_2016 = Reference(
    "shen2016relay",
    "Li Shen and Zhouchen Lin and Qingming Huang",
    "Relay Backpropagation for Effective Learning of Deep Convolutional Neural Networks",
    "European Conference on Computer Vision (ECCV)",
    2016,
)
MAHAJAN_2018 = Reference(
    "mahajan2018exploring",
    "Dhruv Mahajan and Ross Girshick and Vignesh Ramanathan and Kaiming He and Manohar Paluri and Yixuan Li "
    "and Ashwin Bharambe and Laurens van der Maaten",
    "Exploring the Limits of Weakly Supervised Pretraining",
    "European Conference on Computer Vision (ECCV)",
    2018,
)
ZHOU_2006 = Reference(
    "zhou2006training",
    "Zhi-Hua Zhou and Xu-Ying Liu",
    "Training Cost-Sensitive Neural Networks with Methods Addressing the Class Imbalance Problem",
    "IEEE Transactions on Knowledge and Data Engineering",
    2006,
    journal=True,
)
GOOD_1952 = Reference(
    "good1952rational",
    "Irving John Good",
    "Rational Decisions",
    "Journal of the Royal Statistical Society, Series B",
    1952,
    journal=True,
)
COX_1958 = Reference(
    "cox1958regression",
    "David Roxbee Cox",
    "The Regression Analysis of Binary Sequences",
    "Journal of the Royal Statistical Society, Series B",
    1958,
    journal=True,
)
FRIEDMAN_2001 = Reference(
    "friedman2001greedy",
    "Jerome H. Friedman",
    "Greedy Function Approximation: A Gradient Boosting Machine",
    "The Annals of Statistics",
    2001,
    journal=True,
)
QI_2023 = Reference(
    "qi2023attentional",
    "Qi Qi and Yi Xu and Wotao Yin and Rong Jin and Tianbao Yang",
    "Attentional-Biased Stochastic Gradient Descent",
    "Transactions on Machine Learning Research",
    2023,
    journal=True,
)
LI_2021 = Reference(
    "li2021tilted",
    "Tian Li and Ahmad Beirami and Maziar Sanjabi and Virginia Smith",
    "Tilted Empirical Risk Minimization",
    "International Conference on Learning Representations (ICLR)",
    2021,
)
MAJIDI_2021 = Reference(
    "majidi2021exponentiated",
    "Negin Majidi and Ehsan Amid and Hossein Talebi and Manfred K. Warmuth",
    "Exponentiated Gradient Reweighting for Robust Training Under Label Noise and Beyond",
    "arXiv:2104.01493",
    2021,
    journal=True,
)
HAN_2018 = Reference(
    "han2018co",
    "Bo Han and Quanming Yao and Xingrui Yu and Gang Niu and Miao Xu and Weihua Hu and Ivor Tsang and Masashi Sugiyama",
    "Co-Teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels",
    "Advances in Neural Information Processing Systems (NeurIPS)",
    2018,
)
